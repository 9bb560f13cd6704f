"""The structures that machine code and Python share, as byte offsets. All fields are 8 bytes unless said otherwise.

A *thread block* belongs to one thread for as long as it lives, and is never unmapped: signal handlers may look at it at
any time. An *activation* lies in the native frame of `run`: where to go on when a call into wasm is left by a trap. A
*call* lies in the value stack, before the first frame: what Python and machine code tell each other. A *reply* lies in the
native frame of a call of Python: where to go on afterwards. A *VM context* belongs to one instance; machine code keeps
its address in a register. A *function record* is a function reference: its address is the value of a funcref, 0 is null.

While Python runs, anything may happen on the same thread: a signal handler or a finalizer may call wasm again. So
whatever a call leaves behind lies in memory of its own; of the thread block, a nested call leaves everything as it was.
"""

from __future__ import annotations

from typing import Final

from wasmine.errors import TrapKind, WasmException

FAULT: Final = 1
"""In Call.TRAP: a signal. Which trap it is follows from its number and the place."""

PYTHON_EXCEPTION: Final = 2
"""In Call.TRAP: Python code raised an exception. It is Python's current one when `enter` returns, so `enter` raises it."""

RESUME: Final = 3
"""What a service returns to go on at Reply.PC instead of behind its call. Never in Call.TRAP."""

BUSY: Final = 4
"""In Call.TRAP: an instance is in use by another thread."""

OUT_OF_FUEL: Final = 5
"""In Call.TRAP: an instance has not enough fuel for what comes next, whose cost is in Call.TRAP_ADDRESS."""

COMPILE: Final = 1 << 31
"""The service that compiles a function: its number is this plus the function's index. It puts the address of the code into
Reply.PC."""

HOST_CALL: Final = 60
"""The service that calls a host function (Reply.RECORD) whose types machine code does not convert."""

HOST_RESULT: Final = 61
"""The service that converts what a host function returned (Reply.OBJECT) and machine code does not."""

HOST_RAISED: Final = 62
"""The service that looks for the handler of a WasmException that a host function raised (Reply.OBJECT)."""

_FIRST_KIND: Final = 16
_KINDS: Final = tuple(TrapKind)


def trap_number(kind: TrapKind) -> int:
    """The number by which machine code knows a kind of trap."""
    return _FIRST_KIND + _KINDS.index(kind)


TOLD: Final = 1 << 8
"""Added to a `trap_number`: Call.TRAP_ADDRESS says more."""


TRAP_KINDS: Final = {trap_number(kind): kind for kind in _KINDS}
"""The kinds of traps, by the numbers that `trap_number` gives."""


class Thread:
    """Offsets in a thread block."""

    ACTIVATION: Final = 0  # the innermost activation, 0 outside wasm
    STACK_LIMIT: Final = 8  # the lowest address that the native stack pointer may have in wasm code
    VALUES_LIMIT: Final = 16  # the highest address that a frame of the value stack may reach
    TRAP: Final = 24  # from a fault to `run`: the fields of a call from Call.TRAP on
    TOP: Final = 80  # where in the value stack the next call from Python may begin
    OWNED: Final = 88  # the VM context that the thread took last, 0 if it has none
    STATE: Final = 96  # the PyThreadState that was saved when the GIL was released, 0 while the thread holds the GIL
    SIGNALS: Final = 104  # 4 bytes, not 0: what the thread is to do at the safepoint (LOOK, RELEASE, ...)
    STOP: Final = 108  # 4 bytes, not 0: the call is to end with Data.EXPIRED
    INSIDE: Final = 112  # 4 bytes, 1 while wasm code runs, 0 while Python does
    TASK: Final = 116  # 4 bytes: the thread's number for the kernel, 0 if the block is nobody's
    NEXT: Final = 120  # the next block in the list of all, which begins at Data.BLOCKS
    TICKED: Final = 128  # 4 bytes, the ticker's: not 0 if the thread was in a call at its last tick, with the GIL kept
    UNLOOKED: Final = 132  # 4 bytes, the ticker's: for how many ticks it did not tell the main thread to look
    SIZE: Final = 4096


class Activation:
    """Offsets in an activation, which is on top of the native stack when wasm code is called. PREVIOUS, OWNED and TOP are
    what the thread block said before.
    """

    PREVIOUS: Final = 0
    FRAME: Final = 8  # in the value stack
    THREAD: Final = 16
    OWNED: Final = 24
    TOP: Final = 32
    SIZE: Final = 40


class Call:
    """Offsets from the start of a call in the value stack. Its first frame begins at FRAME, where the arguments lie.

    After a trap the fields from TRAP on lie where the frame was, followed by a copy of the native stack.
    """

    RECORD: Final = 0  # the function, before the call
    RESULT: Final = 0  # the result register for integers and references, after the call
    RESULT_VECTOR: Final = 16  # the result register for floats and vectors, 16 bytes
    FRAME: Final = 32
    TRAP: Final = 32  # how the call ended: FAULT, PYTHON_EXCEPTION, BUSY, OUT_OF_FUEL or a `trap_number`
    TRAP_PC: Final = 40  # where, an address in code
    TRAP_ADDRESS: Final = 48  # the address of the data access at fault, for faults; else what the code told `trap`
    TRAP_SIGNAL: Final = 56  # the number of the signal, 0 for explicit traps
    TRAP_STACK: Final = 64  # the native stack pointer of the function at fault
    TRAP_CONTEXT: Final = 72  # the VM context of that function
    STACK_COPIED: Final = 80  # how many bytes of the native stack were copied
    STACK_COPY: Final = 88  # from the trap up to `run`
    STACK_COPY_SIZE: Final = 7168  # at most
    SIZE: Final = STACK_COPY + STACK_COPY_SIZE


class Reply:
    """Offsets in the reply to a call of Python from wasm code."""

    PC: Final = 0  # for RESUME: where to go on; for COMPILE: the address of the code
    STACK: Final = 8  # for RESUME: with which stack pointer, frame and context
    FRAME: Final = 16
    CONTEXT: Final = 24
    CALLER: Final = 32  # the native stack pointer of the caller: the address of its return address
    RECORD: Final = 40  # for host functions: the record of the function
    OBJECT: Final = 48  # what it returned or raised (its PyObject)
    SIZE: Final = 56


class Context:
    """Offsets in a VM context. What an instance has a number of follows at offsets that the compiler chooses."""

    THREAD: Final = 0  # the block of the thread that runs the instance, 0 if none does
    STACK_LIMIT: Final = 8  # copied from the thread block when the thread takes the instance
    VALUES_LIMIT: Final = 16
    TRAP: Final = 24  # address of `trap`: called with a `trap_number` in the first scratch register
    CALL_HOST: Final = 32  # the Python callable (its PyObject) for host functions and services
    MEMORY: Final = 40  # base and length in bytes of memory 0, 16 bytes
    NEXT: Final = 56  # the context that the same thread took before this one
    RELEASE: Final = 64  # 4 bytes, not 0: the GIL is released while wasm code runs
    SLOW: Final = 68  # 4 bytes, not 0: calls from Python need Python's help (a time limit, a closed instance)
    CALLER: Final = 72  # the `Caller` of the instance (its PyObject)
    FIXED: Final = 80  # where the instance's own fields begin


class Record:
    """Offsets in a function record."""

    CODE: Final = 0
    CONTEXT: Final = 8  # the VM context of the instance that defines it
    TYPE: Final = 16  # the number of its type in the runtime
    SUPERTYPES: Final = 24  # address of the numbers of its type's display, for subtype checks
    SIZE: Final = 32
    # Of a host function, whose context is 0.
    NUMBER: Final = 32  # its number among the host functions (`compiler.hosts`)
    CALLABLE: Final = 40  # the Python callable (its PyObject)
    PROGRAM: Final = 48  # address of its `Program`
    HOST_SIZE: Final = 56


class Program:
    """Offsets in a *program*: how machine code converts what a call of some type takes and gives.

    It is a sequence of addresses of steps (`compiler.program`), each followed by its operands.
    """

    COUNT: Final = 0  # twice the number of arguments of a call from Python; 1: such calls always need Python's help
    SIZE: Final = 8  # what a call needs of the value stack, in bytes
    STEPS: Final = 16


class Function:
    """Offsets in the native part of a function object (`compiler.function.CompiledFunction`), which lies at
    Data.FUNCTION.
    """

    VECTORCALL: Final = 0
    RECORD: Final = 8
    PROGRAM: Final = 16
    SIZE: Final = 24


class Data:
    """Offsets in the data page behind the hand-written sequences."""

    CODE_START: Final = 0  # the arena: a fault whose pc lies in it is a trap
    CODE_SIZE: Final = 8
    THREAD_KEY: Final = 16
    GET_SPECIFIC: Final = 24  # address of pthread_getspecific
    PROCESS: Final = 32  # the process id
    CONTROL: Final = 40  # the processor's control register for floats in wasm code
    SAVE_THREAD: Final = 48  # addresses: see PYTHON_FUNCTIONS
    RESTORE_THREAD: Final = 56
    CALL_FUNCTION: Final = 64
    AS_LONG: Final = 72
    DECREF: Final = 80
    PREVIOUS: Final = 128  # the handlers that were installed before, by signal number
    CHECK_SIGNALS: Final = 704  # addresses: see PYTHON_FUNCTIONS
    SET_NONE: Final = 712
    EXPIRED: Final = 720  # the exception (its PyObject) that ends a call whose time is over
    PYTHON_HANDLER: Final = 728  # address of CPython's signal handler
    MAIN_THREAD: Final = 736  # the block of the main thread, 0 if it has none
    LARGEST_FRAME: Final = 744  # the size in bytes of the largest frame that a function has in the value stack
    PROCESSOR_SIZE: Final = 752  # of the area for the processor's vector state, with room for alignment
    PROCESSOR_PARTS: Final = 760  # which parts of it are saved (x86-64: by XSAVE; 0: there is only FXSAVE)
    FUNCTION: Final = 768  # where in a function object its native part lies
    TYPE: Final = 776  # where in an object its type stands
    NONE: Final = 784  # Python objects: see PYTHON_OBJECTS
    INT: Final = 792
    BOOL: Final = 800
    FLOAT: Final = 808
    BYTES: Final = 816
    TUPLE: Final = 824
    WASM_EXCEPTION: Final = 832
    CALL_SLOWLY: Final = 840  # Python callables: see `compiler.function`
    CALL_FAILED: Final = 848
    INCREF: Final = 856  # addresses: see PYTHON_FUNCTIONS
    INT_TO_SIGNED: Final = 864
    INT_TO_UNSIGNED: Final = 872
    INT_FROM_SIGNED: Final = 880
    INT_FROM_UNSIGNED: Final = 888
    FLOAT_TO_DOUBLE: Final = 896
    FLOAT_FROM_DOUBLE: Final = 904
    BYTES_SIZE: Final = 912
    BYTES_START: Final = 920
    BYTES_NEW: Final = 928
    TUPLE_NEW: Final = 936
    TUPLE_SET: Final = 944
    TUPLE_ITEMS: Final = 952  # where in a tuple its items begin
    TUPLE_SIZE: Final = 960
    CALL_OBJECTS: Final = 976
    VECTORCALL: Final = 984
    ERROR_OCCURRED: Final = 992
    ERROR_CLEAR: Final = 1000
    ERROR_MATCHES: Final = 1008
    ERROR_FETCH: Final = 1016
    ERROR_NORMALIZE: Final = 1024
    ERROR_RESTORE: Final = 1032
    ERROR_SET: Final = 1040
    TRACEBACK_SET: Final = 1048
    TRACEBACK_GET: Final = 1056
    INT_MASK: Final = 1064  # which ints are one digit: see `pytype.int_layout`
    INT_ZERO: Final = 1072
    INT_DIGIT: Final = 1080
    TICKER: Final = 1536  # 4 bytes, 1: the ticker runs
    BLOCKS: Final = 1544  # the thread block that was made last
    TICKER_ATTRIBUTES: Final = 1552  # address of its pthread_attr_t
    CREATE_THREAD: Final = 1560  # addresses: see C_FUNCTIONS
    SIGNAL_ACTION: Final = 1568
    SIGNAL_MASK: Final = 1576
    SLEEP: Final = 1584
    CHAINING: Final = 2048  # CHAINS pairs (thread id, stack pointer), by thread id: who is calling an earlier handler
    CHAINS: Final = 128
    SIZE: Final = 4096


PYTHON_FUNCTIONS: Final = {
    Data.SAVE_THREAD: "PyEval_SaveThread",
    Data.RESTORE_THREAD: "PyEval_RestoreThread",
    Data.CALL_FUNCTION: "PyObject_CallFunction",
    Data.AS_LONG: "PyLong_AsLong",
    Data.DECREF: "Py_DecRef",
    Data.CHECK_SIGNALS: "PyErr_CheckSignals",
    Data.SET_NONE: "PyErr_SetNone",
    Data.INCREF: "Py_IncRef",
    Data.INT_TO_SIGNED: "PyLong_AsLongLong",
    Data.INT_TO_UNSIGNED: "PyLong_AsUnsignedLongLong",
    Data.INT_FROM_SIGNED: "PyLong_FromLongLong",
    Data.INT_FROM_UNSIGNED: "PyLong_FromUnsignedLongLong",
    Data.FLOAT_TO_DOUBLE: "PyFloat_AsDouble",
    Data.FLOAT_FROM_DOUBLE: "PyFloat_FromDouble",
    Data.BYTES_SIZE: "PyBytes_Size",
    Data.BYTES_START: "PyBytes_AsString",
    Data.BYTES_NEW: "PyBytes_FromStringAndSize",
    Data.TUPLE_NEW: "PyTuple_New",
    Data.TUPLE_SET: "PyTuple_SetItem",
    Data.TUPLE_SIZE: "PyTuple_Size",
    Data.CALL_OBJECTS: "PyObject_CallFunctionObjArgs",
    Data.VECTORCALL: "PyObject_Vectorcall",
    Data.ERROR_OCCURRED: "PyErr_Occurred",
    Data.ERROR_CLEAR: "PyErr_Clear",
    Data.ERROR_MATCHES: "PyErr_ExceptionMatches",
    Data.ERROR_FETCH: "PyErr_Fetch",
    Data.ERROR_NORMALIZE: "PyErr_NormalizeException",
    Data.ERROR_RESTORE: "PyErr_Restore",
    Data.ERROR_SET: "PyErr_SetObject",
    Data.TRACEBACK_SET: "PyException_SetTraceback",
    Data.TRACEBACK_GET: "PyException_GetTraceback",
}
"""The functions of CPython's stable ABI whose addresses lie in the data page."""

PYTHON_OBJECTS: Final[dict[int, object]] = {
    Data.NONE: None,
    Data.INT: int,
    Data.BOOL: bool,
    Data.FLOAT: float,
    Data.BYTES: bytes,
    Data.TUPLE: tuple,
    Data.WASM_EXCEPTION: WasmException,
}
"""The objects whose addresses lie in the data page."""

C_FUNCTIONS: Final = {
    Data.GET_SPECIFIC: "pthread_getspecific",
    Data.CREATE_THREAD: "pthread_create",
    Data.SIGNAL_ACTION: "sigaction",
    Data.SIGNAL_MASK: "pthread_sigmask",
    Data.SLEEP: "usleep",
}
"""The functions of the C library whose addresses lie in the data page."""

LOOK: Final = 1
"""In Thread.SIGNALS: Python may have signals to handle."""

RELEASE: Final = 2
"""In Thread.SIGNALS: other threads are to have the GIL."""

START_TICKER: Final = 4
"""In Thread.SIGNALS: the ticker does not run."""

HOOK: Final = 8
"""In Thread.SIGNALS: `python_signal` is to be put in front of CPython's handler."""

TICK: Final = 5000
"""Microseconds between two looks of the ticker."""

LOOK_AGAIN: Final = 100
"""Ticks after which the main thread is told to look in any case: another thread may be late with a call of CPython's
handler that began before `python_signal` was put in front of it."""

LINGER: Final = 200
"""Ticks without wasm code after which the ticker ends."""

KICK: Final = 23
"""SIGURG: ignored unless somebody wants it, so one that comes too late does no harm."""

PIECE: Final = 1 << 20
"""Bytes that memory.fill and memory.copy write between two looks at Thread.SIGNALS: they take a tenth of a millisecond."""

TOP_SLACK: Final = 16 << 10
"""Bytes of the value stack, from the frame of a call of Python on, that calls from there leave alone: 1,000 parameters or
results, the most that a type may have, take no more."""
