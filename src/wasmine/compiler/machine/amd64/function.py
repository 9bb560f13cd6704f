"""Functions of wasm as C-level callables of Python: `call` is the vectorcall function of all of them.

It runs the function's program (`compiler.program`): steps that convert the arguments, `run_wasm`, steps that convert the
results, and one that returns. What is unusual goes to a function of Python.
"""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.amd64.entry import POP, PUSH
from wasmine.compiler.machine.amd64.linux import DATA
from wasmine.compiler.machine.amd64.steps import NEXT, skip
from wasmine.compiler.machine.layout import Call, Context, Data, Function, Program, Record, Thread

# Flags in the processor's control register, which do not matter.
_CONTROL_MASK: Final = 0xFFC0


class _Frame:
    """Offsets from rsp in `call`."""

    SELF: Final = 0
    BASE: Final = 8  # of the call in the value stack
    ARGS: Final = 16  # the arguments; later the first result
    COUNT: Final = 24
    NAMES: Final = 32
    ERROR: Final = 40  # type, value and traceback
    SIZE: Final = 72  # and rsp is a multiple of 16 behind the pushed registers


_RELEASE_ERROR: Final = "\n".join(
    f"""\
  mov rdi, [rsp+{_Frame.ERROR + 8 * i}]
  test rdi, rdi
  jz 1f
  call [r14+{Data.DECREF}]
1:"""
    for i in range(2)
)


def fetch(error: int) -> str:
    """Take the current exception: type and value (normal, with its traceback) to `error` in the frame."""
    places = "\n".join(f"  lea {name}, [rsp+{error + 8 * i}]" for i, name in enumerate(("rdi", "rsi", "rdx")))
    return f"""\
{places}
  call [r14+{Data.ERROR_FETCH}]
{places}
  call [r14+{Data.ERROR_NORMALIZE}]
  mov rsi, [rsp+{error + 16}]
  test rsi, rsi
  jz 1f
  mov rdi, [rsp+{error + 8}]
  call [r14+{Data.TRACEBACK_SET}]
  mov rdi, [rsp+{error + 16}]
  call [r14+{Data.DECREF}]
1:"""


def restore(error: int) -> str:
    """Make that the current exception again."""
    return f"""\
  mov rdi, [rsp+{error + 8}]
  call [r14+{Data.TRACEBACK_GET}]
  mov rdx, rax
  mov rdi, [rsp+{error}]
  mov rsi, [rsp+{error + 8}]
  call [r14+{Data.ERROR_RESTORE}]"""


FUNCTION: Final = f"""\
# PyObject *call(function, arguments, count, names): a vectorcallfunc.
.globl call
call:
{PUSH}
  sub rsp, {_Frame.SIZE}
  lea r14, [rip+blob_start+{DATA}]
  mov [rsp+{_Frame.SELF}], rdi
  mov [rsp+{_Frame.ARGS}], rsi
  mov [rsp+{_Frame.COUNT}], rdx
  mov [rsp+{_Frame.NAMES}], rcx
  mov rbx, rsi
  test rcx, rcx
  jnz call_slowly
  mov rax, [r14+{Data.FUNCTION}]
  mov rbp, [rdi+rax+{Function.PROGRAM}]
  mov r13, [rdi+rax+{Function.RECORD}]
  # Without the flag in the highest bit.
  add rdx, rdx
  cmp rdx, [rbp+{Program.COUNT}]
  jne call_slowly
  mov rax, [r13+{Record.CONTEXT}]
  cmp dword ptr [rax+{Context.SLOW}], 0
  jne call_slowly
  stmxcsr [rsp+{_Frame.ERROR}]
  mov eax, [rsp+{_Frame.ERROR}]
  and eax, {_CONTROL_MASK}
  cmp eax, [r14+{Data.CONTROL}]
  jne call_slowly
  mov rdi, [r14+{Data.THREAD_KEY}]
  call [r14+{Data.GET_SPECIFIC}]
  test rax, rax
  jz call_slowly
  mov r15, rax
  mov r12, [r15+{Thread.TOP}]
  cmp r12, [r15+{Thread.VALUES_LIMIT}]
  ja call_slowly
  mov [rsp+{_Frame.BASE}], r12
  mov [r12+{Call.RECORD}], r13
  mov rax, r12
  add rax, [rbp+{Program.SIZE}]
  mov [r15+{Thread.TOP}], rax
  add r12, {Call.FRAME}
  lea r13, [rip+call_unfit]
  add rbp, {Program.STEPS}
{NEXT}

# Operand: where in the call the results are.
.globl run_wasm
run_wasm:
  mov r13, [rsp+{_Frame.BASE}]
  add r13, {Call.FRAME}
  call run
  test eax, eax
  jnz call_failed
  mov r12, [rsp+{_Frame.BASE}]
  add r12, [rbp]
  mov rbx, r12
  mov [rsp+{_Frame.ARGS}], r12
  lea r13, [rip+call_unboxed]
{skip(1)}

.globl return_none
return_none:
  mov rdi, [r14+{Data.NONE}]
  call [r14+{Data.INCREF}]
  mov rax, [r14+{Data.NONE}]
# The object that was boxed last.
.globl return_one
return_one:
call_return:
  mov rdx, [rsp+{_Frame.BASE}]
  mov [r15+{Thread.TOP}], rdx
call_done:
  add rsp, {_Frame.SIZE}
{POP}
  ret

# Operand: how many.
.globl return_tuple
return_tuple:
  mov rdi, [rbp]
  call [r14+{Data.TUPLE_NEW}]
  test rax, rax
  jz call_unboxed
  mov rsi, [rsp+{_Frame.ARGS}]
  mov rdi, rax
  add rdi, [r14+{Data.TUPLE_ITEMS}]
  mov rcx, [rbp]
return_tuple_more:
  mov rdx, [rsi+rcx*8-8]
  mov [rdi+rcx*8-8], rdx
  dec rcx
  jnz return_tuple_more
  jmp call_return

# A result could not be made into an object: there is an exception.
call_unboxed:
  mov r12, [rsp+{_Frame.ARGS}]
call_unboxed_more:
  cmp r12, rbx
  jae call_raised
  mov rdi, [r12]
  call [r14+{Data.DECREF}]
  add r12, 8
  jmp call_unboxed_more

# An argument is not what machine code converts.
call_unfit:
  test eax, eax
  jnz call_raised
  mov rdx, [rsp+{_Frame.BASE}]
  mov [r15+{Thread.TOP}], rdx

# Data.CALL_SLOWLY(function, arguments, names or None)
call_slowly:
  mov r12, [rsp+{_Frame.COUNT}]
  btr r12, 63
  mov rdi, [rsp+{_Frame.NAMES}]
  test rdi, rdi
  jz 1f
  call [r14+{Data.TUPLE_SIZE}]
  add r12, rax
1:
  mov rdi, r12
  call [r14+{Data.TUPLE_NEW}]
  test rax, rax
  jz call_done
  mov r13, rax
  mov rbx, [rsp+{_Frame.ARGS}]
  xor ebp, ebp
call_slowly_more:
  cmp rbp, r12
  je call_slowly_collected
  mov rdi, [rbx+rbp*8]
  call [r14+{Data.INCREF}]
  mov rdi, r13
  mov rsi, rbp
  mov rdx, [rbx+rbp*8]
  call [r14+{Data.TUPLE_SET}]
  inc rbp
  jmp call_slowly_more
call_slowly_collected:
  mov rdi, [r14+{Data.CALL_SLOWLY}]
  mov rsi, [rsp+{_Frame.SELF}]
  mov rdx, r13
  mov rcx, [rsp+{_Frame.NAMES}]
  test rcx, rcx
  cmovz rcx, [r14+{Data.NONE}]
  xor r8d, r8d
  xor eax, eax
  call [r14+{Data.CALL_OBJECTS}]
  mov rbx, rax
  mov rdi, r13
  call [r14+{Data.DECREF}]
  mov rax, rbx
  jmp call_done

# Data.CALL_FAILED(function, address of the call, exception or None): it traps, or Python raised an exception. It gives what
# to raise for a trap.
call_failed:
  mov rax, [rsp+{_Frame.BASE}]
  lea rcx, [rax+{Call.SIZE}]
  mov [r15+{Thread.TOP}], rcx
  xor ecx, ecx
  mov [rsp+{_Frame.ERROR}], rcx
  mov [rsp+{_Frame.ERROR + 8}], rcx
  mov [rsp+{_Frame.ERROR + 16}], rcx
  cmp qword ptr [rax+{Call.TRAP}], {layout.PYTHON_EXCEPTION}
  jne call_failed_trap
{fetch(_Frame.ERROR)}
call_failed_trap:
  mov rdi, [rsp+{_Frame.BASE}]
  call [r14+{Data.INT_FROM_UNSIGNED}]
  mov r12, rax
  xor ebx, ebx
  test rax, rax
  jz call_failed_known
  mov rdi, [r14+{Data.CALL_FAILED}]
  mov rsi, [rsp+{_Frame.SELF}]
  mov rdx, rax
  mov rcx, [rsp+{_Frame.ERROR + 8}]
  test rcx, rcx
  cmovz rcx, [r14+{Data.NONE}]
  xor r8d, r8d
  xor eax, eax
  call [r14+{Data.CALL_OBJECTS}]
  mov rbx, rax
  mov rdi, r12
  call [r14+{Data.DECREF}]
call_failed_known:
  test rbx, rbx
  jz call_failed_again
  cmp qword ptr [rsp+{_Frame.ERROR + 8}], 0
  jne call_failed_passed
  mov rcx, [r14+{Data.TYPE}]
  mov rdi, [rbx+rcx]
  mov rsi, rbx
  call [r14+{Data.ERROR_SET}]
  mov rdi, rbx
  call [r14+{Data.DECREF}]
  jmp call_raised
call_failed_passed:
  mov rdi, rbx
  call [r14+{Data.DECREF}]
{restore(_Frame.ERROR)}
  jmp call_raised
call_failed_again:
{_RELEASE_ERROR}
call_raised:
  xor eax, eax
  jmp call_return
"""
