"""Reads a pickle as data: nothing that it names is imported or run.

Python's own unpickler calls whatever the file names, and sets attributes of it. This
one supports the operations of protocol 2 and later that describe data, and looks names
up in a table from its caller: other names and other operations raise.
"""

import pickletools
from collections.abc import Callable

# Real checkpoints need about 25 operations per tensor. One byte may create an object of
# 64 bytes, so that without a limit a large hostile file would fill the memory.
# As many items may be given to functions, over all calls: each could copy a long list.
MAX_OPERATIONS = 2_000_000

_SHOWN = 60  # characters of a value from the file in messages
_CONTAINERS = (list, tuple, dict)
_KEYS = (str, int, float, bytes, type(None))
_CONSTANTS = (
    "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINSTRING SHORT_BINSTRING BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 NONE"
).split()


class ForbiddenGlobalError(ValueError):
    """A pickle names a function or class that is not in the table.

    Attributes:
        name: str, such as "os.system"; of a long one only the beginning.
    """

    def __init__(self, name):
        super().__init__(f"the global {shown(name)} is not allowed")
        self.name = name[:_SHOWN]


def read_pickle(file, known, load_persistent=None, max_operations=None):
    """Reads one pickle.

    Args:
        file: binary file object, read from its position to the end of the pickle; its
            `read(n)` must not allocate more memory than the file has bytes.
        known: dict of full name -> value. A function among the values is called if
            the pickle calls its name, with arguments made of plain data and of results
            of these functions: it must check them.
        load_persistent: function of a persistent id; None if none is allowed.
        max_operations: int, also of the items given to functions; None,
            MAX_OPERATIONS.

    Returns:
        the object described: plain Python data and values made by `known`.

    Raises:
        ForbiddenGlobalError: a name that is not in `known`.
        ValueError: an operation that does not describe data, damage, or too much data.
    """
    most = MAX_OPERATIONS if max_operations is None else max_operations
    machine = _Machine(known, load_persistent, most)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if opcode.name == "STOP":
                return machine.pop()
            if count == most:
                raise ValueError(f"a pickle of more than {count} operations")
            operation = _OPERATIONS.get(opcode.name)
            if operation is None:
                raise ValueError(f"the pickle operation {opcode.name}, not used here")
            operation(machine, argument)
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError(f"a malformed pickle ({str(error)[:_SHOWN]})") from error
    raise ValueError("a pickle without an end")


def shown(value):
    """Returns a value from a pickle for messages, str: short, and made in no time.

    Of anything but texts and numbers it is the type, because nested tuples that share
    their items could have an endless representation.
    """
    if isinstance(value, (str, bytes)):
        return repr(value[:_SHOWN])
    if type(value) is float or (type(value) is int and value.bit_length() <= 64):
        return repr(value)
    return type(value).__name__


class Described:
    """Base class of what functions in the table may return with a state to be set.

    `set_state(state)` gets arbitrary data from the file, which it must check.
    """

    def set_state(self, state):
        """Sets what the operation BUILD gives."""
        raise NotImplementedError


def plain_dict(items=()):
    """Makes a dict of a dict or of pairs, as `collections.OrderedDict` does.

    Raises:
        ValueError: a key is not a plain scalar. (Hashing nested tuples could take
            forever.)
    """
    made = {}
    for key, value in items.items() if isinstance(items, dict) else items:
        _put(made, key, value)
    return made


class _Machine:
    """The stack machine that runs a pickle, without its dangerous half."""

    def __init__(self, known, load_persistent, items):
        self.known = known
        self.items = items  # that may still be given to functions
        self.load_persistent = load_persistent
        self.memo = {}
        self.stack = []
        self.below = []  # the stacks under each mark

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        return self.stack.pop()

    def mark(self, _):
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self, _=None):
        values, self.stack = self.stack, self.below.pop()
        return values

    def tuple_of(self, count):
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def append(self, values):
        if type(self.stack[-1]) is not list:
            raise ValueError("a pickle that appends to what is not a list")
        self.stack[-1].extend(values)

    def set_items(self, values):
        if type(self.stack[-1]) is not dict:
            raise ValueError("a pickle that sets items of what is not a dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            _put(self.stack[-1], key, value)

    def memoize(self, index):
        self.memo[index] = self.stack[-1]

    def name(self, module, name):
        full = f"{module}.{name}"
        if full not in self.known:
            raise ForbiddenGlobalError(full)
        self.push(self.known[full])

    def name_from_stack(self, _):
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise ValueError("a pickle with a name that is not a text")
        self.name(module, name)

    def call(self, _):
        arguments, function = self.pop(), self.pop()
        if not callable(function) or type(arguments) is not tuple:
            raise ValueError("a pickle that calls what is not a function")
        self.items -= len(arguments)
        self.items -= sum(len(one) for one in arguments if type(one) in _CONTAINERS)
        if self.items < 0:
            raise ValueError("a pickle that gives too many items to functions")
        self.push(function(*arguments))

    def build(self, _):
        """Sets a state. Except of `Described`, it is only metadata and ignored."""
        state = self.pop()
        if isinstance(self.stack[-1], Described):
            self.stack[-1].set_state(state)

    def persistent(self, _):
        if self.load_persistent is None:
            raise ValueError("a pickle with an unexpected persistent id")
        self.push(self.load_persistent(self.pop()))


def _put(target, key, value):
    if not isinstance(key, _KEYS):
        raise ValueError(f"a dict key of type {type(key).__name__}")
    target[key] = value


_OPERATIONS: dict[str, Callable] = {
    **dict.fromkeys(_CONSTANTS, _Machine.push),
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items(
        [machine.pop(), machine.pop()][::-1]
    ),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": _Machine.since_mark,
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "BINPUT": _Machine.memoize,
    "LONG_BINPUT": _Machine.memoize,
    "MEMOIZE": lambda machine, _: machine.memoize(len(machine.memo)),
    "BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.push(machine.memo[index]),
    # genops joins the two lines of a GLOBAL by a space.
    "GLOBAL": lambda machine, names: machine.name(*names.split(" ", 1)),
    "STACK_GLOBAL": _Machine.name_from_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
