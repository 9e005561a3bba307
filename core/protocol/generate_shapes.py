"""The C++ of the schema as data (core/protocol/shape.h): for each unit of codecs the shapes of its messages and a table
of them, and one file that names all units."""

from schema import SCALARS

WIRE = {'std::int8_t': 'int8', 'std::int16_t': 'int16', 'std::uint16_t': 'uint16', 'std::int32_t': 'int32',
        'std::int64_t': 'int64', 'bool': 'boolean', 'uuid': 'uuid', 'string': 'string', 'bytes': 'bytes',
        'float64': 'float64', 'records': 'records'}


def wire(field):
    if field.struct:
        return 'structure'
    return WIRE[SCALARS[field.type][0] if field.type in SCALARS else field.type]


def field_row(field):
    nullable = 0x7fff if field.nullable_from is None else field.nullable_from
    number = {'true': '1', 'false': '0', 'null': '0', None: '0'}.get(field.default, field.default)
    tag = -1 if field.tag is None else field.tag
    shape = f'&shape_{field.struct.name}' if field.struct else 'nullptr'
    flags = [str(flag).lower() for flag in (field.array, field.ignorable, field.default == 'null')]
    return (f'    {{"{field.name}", Wire::{wire(field)}, {flags[0]}, {field.low}, {field.high}, {nullable}, {tag}, '
            f'{flags[1]}, {flags[2]}, {number}, {shape}}},\n')


def struct_shape(struct):
    if not struct.fields:
        return f'constexpr Shape shape_{struct.name}{{}};\n'
    rows = ''.join(field_row(field) for field in struct.fields)
    return (f'constexpr FieldShape fields_{struct.name}[] = {{\n{rows}}};\n'
            f'constexpr Shape shape_{struct.name}{{fields_{struct.name}}};\n')


def table(unit, messages):
    """The shapes of a unit's messages, and `messages_of_UNIT()`."""
    shapes = [struct_shape(struct) for message in messages for struct in message.struct.inner()]
    rows = ''
    for m in messages:
        rows += (f'    {{"{m.struct.name}", MessageKind::{m.kind}, ApiKey({m.key}), {m.struct.low}, {m.struct.high}, '
                 f'{m.struct.flexible}, &shape_{m.struct.name}, &recode_message<{m.struct.name}>}},\n')
    return ['namespace {\n', *shapes, f'constexpr MessageInfo table[] = {{\n{rows}}};\n', '}  // namespace\n',
            f'std::span<const MessageInfo> messages_of_{unit}() {{ return table; }}\n']


def registry(units):
    """The body of the file that names all units."""
    names = [f'messages_of_{unit}' for unit in units]
    return [''.join(f'std::span<const MessageInfo> {name}();\n' for name in names),
            'std::span<const std::span<const MessageInfo>> message_infos() {\n'
            '    static const std::span<const MessageInfo> parts[] = {'
            + ', '.join(f'{name}()' for name in names) + '};\n    return parts;\n}\n']
