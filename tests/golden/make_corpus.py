"""Makes the seed corpora of the protocol fuzzers from the golden rows: of each message the first, a middle and the
newest version, with values. The corpora are checked in; this is run by hand after the golden files change."""

import json
from pathlib import Path

here = Path(__file__).resolve().parent
corpus = here.parent / 'fuzz' / 'corpus'
DATA = ('LeaderChangeMessage', 'SnapshotHeaderRecord', 'SnapshotFooterRecord', 'KRaftVersionRecord', 'VotersRecord',
        'OffsetCommitKey', 'OffsetCommitValue', 'GroupMetadataKey', 'GroupMetadataValue')


def rows(path):
    all_rows = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]
    versions = sorted({row['version'] for row in all_rows})
    chosen = {versions[0], versions[len(versions) // 2], versions[-1]}
    for version in sorted(chosen):
        yield version, [row for row in all_rows if row['version'] == version][1]


def main():
    keys = {}
    for path in sorted((here / 'protocol').rglob('*Request.jsonl')):
        keys[path.stem.removesuffix('Request')] = next(rows(path))[1]['header'][:4]
    for path in sorted((here / 'protocol').rglob('*.jsonl')):
        for version, row in rows(path):
            if path.stem.endswith('Request'):
                folder, text = 'requests', row['header'] + row['bytes']
            elif path.stem.endswith('Response'):
                key = int(keys[path.stem.removesuffix('Response')], 16)
                folder, text = 'responses', f'{key:02x}{version:02x}' + row['header'] + row['bytes']
            elif 'header' not in row and path.stem in DATA:
                continue
            else:
                folder, text = 'metadata_records', row['bytes']
            (corpus / folder / f'{path.stem}-{version}').write_bytes(bytes.fromhex(text))


if __name__ == '__main__':
    main()
