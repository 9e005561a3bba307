"""Holds core/protocol/schema against the message definitions in Kafka's jars: names, types, versions, null, tags,
defaults, what may be ignored; every message of an API, field by field, in every version that both have.

    compare_schema.py FOLDER_OF_JSON...      folders that jars were unpacked into, e.g. of 4.1 and of 4.2
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'core/protocol'))
sys.dont_write_bytecode = True
import schema  # noqa: E402

NUMBERS = {'std::int8_t': 'int8', 'std::int16_t': 'int16', 'std::uint16_t': 'uint16', 'std::int32_t': 'int32',
           'std::int64_t': 'int64'}
UNSTABLE = {'StreamsGroupHeartbeat', 'StreamsGroupDescribe'}  # in 4.1: there other fields, and not advertised


def plain(name):
    return name.replace('_', '').lower()


def span(text, high):
    """Versions as a range; empty for none."""
    if text in (None, 'none'):
        return range(0)
    if text.endswith('+'):
        return range(int(text[:-1]), high + 1)
    parts = text.split('-')
    return range(int(parts[0]), min(int(parts[-1]), high) + 1)


def default_of(text):
    """A default as ours are written: '' for the type's own."""
    text = str(text if text is not None else '').lower()
    if text.startswith('0x'):
        text = str(int(text, 16))
    return '' if text in ('', '0', 'false', '0.0') else text


def theirs(fields, shared, high, version):
    """{name: what is said of it} of the fields that a version has, nested ones with a path."""
    found = {}
    for field in fields:
        if version not in span(field['versions'], high):
            continue
        kind, name = field['type'].removeprefix('[]'), plain(field['name'])
        inner = field.get('fields') or shared.get(kind)
        tagged = version in span(field.get('taggedVersions'), high)
        found[name] = ('struct' if inner else kind, field['type'].startswith('[]'),
                       version in span(field.get('nullableVersions'), high), field['tag'] if tagged else None,
                       default_of(field.get('default')), str(field.get('ignorable', 'false')).lower())
        if inner:
            found.update({f'{name}.{k}': v for k, v in theirs(inner, shared, high, version).items()})
    return found


def ours(struct, version):
    found = {}
    for field in struct.fields:
        if not field.low <= version <= field.high:
            continue
        name = plain(field.name)
        kind = 'struct' if field.struct else NUMBERS.get(schema.SCALARS.get(field.type, ('',))[0], field.type)
        nullable = field.nullable_from is not None and version >= field.nullable_from
        default = '' if field.default in (None, '0', 'false') else field.default
        found[name] = (kind, field.array, nullable, field.tag, default, str(field.ignorable).lower())
        if field.struct:
            found.update({f'{name}.{k}': v for k, v in ours(field.struct, version).items()})
    return found


def load(path):
    text = re.sub(r'^\s*//.*$', '', path.read_text(encoding='utf-8'), flags=re.M)
    return json.loads(re.sub(r'(?<=[,\[{}\]"])\s+//.*$', '', text, flags=re.M))


def main(folders):
    messages = {message.struct.name: message for path in sorted((ROOT / 'core/protocol/schema').glob('*.txt'))
                for message in schema.parse(path) if message.kind in ('request', 'response')}
    compared, differences, seen = 0, [], set()
    for folder in folders:
        for path in sorted(Path(folder).rglob('*.json')):
            spec = load(path)
            name = spec.get('name')
            if spec.get('type') not in ('request', 'response') or spec.get('validVersions') == 'none':
                continue
            if spec.get('latestVersionUnstable') in (True, 'true') and name.removesuffix(spec['type'].title()) in UNSTABLE:
                continue
            if any(name == one + 'Response' for one in UNSTABLE) and folder == folders[0]:
                continue
            if name not in messages:
                differences.append(f'{folder}: {name} is not in the schema')
                continue
            message, high = messages[name], span(spec['validVersions'], 1000)[-1]
            seen.add(name)
            flexible = span(spec['flexibleVersions'], 1000)
            shared = {one['name']: one['fields'] for one in spec.get('commonStructs', [])}
            for version in span(spec['validVersions'], 1000):
                where = f'{folder}: {name} {version}'
                if not message.struct.low <= version <= message.struct.high:
                    differences.append(f'{where}: not in the schema')
                    continue
                if (version in flexible) != (version >= message.struct.flexible):
                    differences.append(f'{where}: flexible or not')
                there, here = theirs(spec['fields'], shared, high, version), ours(message.struct, version)
                for field in sorted(there.keys() | here.keys()):
                    compared += 1
                    if there.get(field) != here.get(field):
                        differences.append(f'{where}: {field}: Kafka {there.get(field)}, here {here.get(field)}')
    differences += [f'{name} is in no jar' for name in sorted(messages.keys() - seen)]
    print('\n'.join(differences))
    print(f'{len(seen)} messages, {compared} fields of a version compared, {len(differences)} differences')
    return 0 if compared > 0 and not differences else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
