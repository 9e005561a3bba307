"""Reads the schema files (schema/README.md has their form) into plain objects, and refuses what it does not know."""

import re
from dataclasses import dataclass, field as default_field

# name in the schema: (type on the wire, C++ type, how the C++ value gives the wire value)
SCALARS = {
    'int8': ('std::int8_t', 'std::int8_t', '{}'),
    'int16': ('std::int16_t', 'std::int16_t', '{}'),
    'uint16': ('std::uint16_t', 'std::uint16_t', '{}'),
    'int32': ('std::int32_t', 'std::int32_t', '{}'),
    'int64': ('std::int64_t', 'std::int64_t', '{}'),
    'ErrorCode': ('std::int16_t', 'ErrorCode', 'static_cast<std::int16_t>({})'),
    'ApiKey': ('std::int16_t', 'ApiKey', 'static_cast<std::int16_t>({})'),
    'Offset': ('std::int64_t', 'Offset', '{}.value'),
    'LeaderEpoch': ('std::int32_t', 'LeaderEpoch', '{}.value'),
    'PartitionEpoch': ('std::int32_t', 'PartitionEpoch', '{}.value'),
    'BrokerId': ('std::int32_t', 'BrokerId', '{}.value'),
    'BrokerEpoch': ('std::int64_t', 'BrokerEpoch', '{}.value'),
    'PartitionIndex': ('std::int32_t', 'PartitionIndex', '{}.value'),
    'ProducerId': ('std::int64_t', 'ProducerId', '{}.value'),
    'ProducerEpoch': ('std::int16_t', 'ProducerEpoch', '{}.value'),
    'Timestamp': ('std::int64_t', 'Timestamp', '{}.value'),
}
WIRE_SIZES = {'std::int8_t': 1, 'std::int16_t': 2, 'std::uint16_t': 2, 'std::int32_t': 4, 'std::int64_t': 8}
PROTOCOL_TYPES = {'ErrorCode', 'ApiKey'}  # not in namespace klamm
SIMPLE = {'bool', 'uuid', 'string', 'bytes', 'float64', 'records'}


@dataclass
class Field:
    name: str
    type: str  # element type if array
    array: bool
    low: int
    high: int
    nullable_from: int | None
    tag: int | None
    default: str | None
    ignorable: bool
    struct: 'Struct | None' = None


@dataclass
class Struct:
    name: str
    low: int
    high: int
    flexible: int
    fields: list = default_field(default_factory=list)

    def inner(self):
        """This struct after those that its fields are made of, each once."""
        found = {}
        for field in self.fields:
            if field.struct:
                found.update((struct.name, struct) for struct in field.struct.inner())
        found[self.name] = self
        return list(found.values())


@dataclass
class Message:
    kind: str  # request, response, record, data
    key: int
    api: str
    struct: Struct
    served: tuple
    listeners: tuple


def snake(name):
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()


def versions(text, low, high):
    match = re.fullmatch(r'(\d+)(\+|-(\d+))?', text)
    if not match:
        raise ValueError(f'not versions: {text}')
    first = int(match[1])
    last = high if match[2] == '+' else int(match[3]) if match[3] else first
    return max(first, low), min(last, high)


def options(words):
    """`key value` pairs of a heading."""
    return dict(zip(words[::2], words[1::2], strict=True))


def parse_field(words, parent):
    name, spelled = words[0], words[1]
    words = words[2:]
    match = re.fullmatch(r'(\[\])?(\w+)(\?(\d+)?\+?)?', spelled)
    if not match:
        raise ValueError(f'not a type: {spelled}')
    low, high = parent.low, parent.high
    if words and words[0][0].isdigit():
        low, high = versions(words.pop(0), low, high)
    nullable = None
    if match[3]:
        nullable = max(int(match[4]) if match[4] else low, low)
    field = Field(name, match[2], bool(match[1]), low, high, nullable, None, None, False)
    while words:
        word = words.pop(0)
        if word == 'tag':
            field.tag = int(words.pop(0))
        elif word == '=':
            field.default = words.pop(0)
        elif word == 'ignorable':
            field.ignorable = True
        else:
            raise ValueError(f'not an option: {word}')
    if field.tag is not None and field.low < parent.flexible:
        raise ValueError('a tagged field in a version that is not flexible')
    if field.type == 'records' and (field.array or field.tag is not None or (low, high) != (parent.low, parent.high)):
        raise ValueError('records are a plain field of all versions')
    if field.type not in SCALARS and field.type not in SIMPLE:
        field.struct = Struct(parent.prefix + field.type, low, high, parent.flexible)
        field.struct.prefix = parent.prefix
        if nullable is not None and not field.array and field.tag is not None:
            raise ValueError('a tagged struct may not be null')
    if field.tag is not None and field.type in ('bytes', 'float64'):
        raise ValueError(f'{field.type} may not be tagged')
    return field


def parse(path):
    """The messages of one file, in its order."""
    messages, heading, stack = [], None, []
    for number, line in enumerate(open(path, encoding='utf-8'), 1):
        text = line.split('#')[0].rstrip()
        if not text:
            continue
        try:
            depth, rest = divmod(len(text) - len(text.lstrip()), 2)
            words = text.split()
            if rest:
                raise ValueError('odd indentation')
            if depth == 0:
                if words[0] in ('api', 'record', 'data'):
                    heading = (words[0], words[1], options(words[2:]))
                if words[0] != 'api':
                    messages.append(begin(words[0], heading))
                    stack = [messages[-1].struct]
                continue
            if depth > len(stack):
                raise ValueError('fields without a struct')
            stack = stack[:depth]
            field = parse_field(words, stack[-1])
            stack[-1].fields.append(field)
            if field.struct:
                stack.append(field.struct)
        except (ValueError, IndexError, KeyError) as error:
            raise SystemExit(f'{path}:{number}: {error}') from error
    for message in messages:
        share(message.struct, {}, path)
        check(message.struct, path)
    return messages


def share(struct, known, path):
    """A struct that is named again without fields is the one that had them."""
    for field in struct.fields:
        if not field.struct:
            continue
        first = known.setdefault(field.struct.name, field.struct)
        if first is field.struct:
            share(first, known, path)
            continue
        if field.struct.fields:
            raise SystemExit(f'{path}: {first.name} has its fields twice')
        if field.low < first.low or field.high > first.high:
            raise SystemExit(f'{path}: {first.name} is named in a version that it lacks')
        field.struct = first


def begin(kind, heading):
    if kind not in ('request', 'response', 'record', 'data'):
        raise ValueError(f'not a heading: {kind}')
    _, name, given = heading
    low, high = versions(given['versions'], 0, 1 << 15)
    if given.get('served') == 'none':
        served = (0, -1)
    else:
        served = versions(given['served'], low, high) if 'served' in given else (low, high)
    full = name if kind in ('record', 'data') else name + kind.capitalize()
    struct = Struct(full, low, high, int(given['flexible']))
    struct.prefix = full
    listeners = tuple(given.get('listeners', '').split(','))
    return Message(kind, int(given.get('key', -1)), name, struct, served, listeners)


def check(struct, path):
    for inner in struct.inner():
        names = [field.name for field in inner.fields]
        tags = [field.tag for field in inner.fields if field.tag is not None]
        if len(set(names)) != len(names) or len(set(tags)) != len(tags):
            raise SystemExit(f'{path}: {inner.name} has a name or a tag twice')
        if not inner.fields and inner is not struct:
            raise SystemExit(f'{path}: {inner.name} has no fields (or its type is misspelt)')
