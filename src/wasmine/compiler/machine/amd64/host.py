"""Host functions: Python callables that wasm code calls.

`host_function` runs the program (`compiler.program`) of the function: steps that make objects of the arguments, in place,
`call_python`, steps that convert what it returned, and `host_done`. What is unusual goes to a function of Python.
"""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.amd64.calls import RESTORE, SAVE
from wasmine.compiler.machine.amd64.entry import TO_PYTHON, TO_WASM
from wasmine.compiler.machine.amd64.function import fetch, restore
from wasmine.compiler.machine.amd64.linux import DATA, RED_ZONE
from wasmine.compiler.machine.amd64.steps import NEXT, skip
from wasmine.compiler.machine.layout import Context, Data, Program, Record, Reply, Thread


class _Frame:
    """Offsets from rsp in `host_function`, which begins with a reply."""

    STACK: Final = Reply.SIZE  # behind the pushed registers
    FRAME: Final = STACK + 8  # in the value stack
    CONTEXT: Final = STACK + 16
    BEFORE: Final = STACK + 24  # the slot before the frame, where a Caller takes a place
    ERROR: Final = STACK + 32  # type, value and traceback
    SIZE: Final = STACK + 56


# The results that a conversion may have written, and arguments, are behind rbx.
_RELEASE_ARGUMENTS: Final = f"""\
  mov r12, [rsp+{_Frame.FRAME}]
2:
  cmp r12, rbx
  jae 3f
  mov rdi, [r12]
  call [r14+{Data.DECREF}]
  add r12, 8
  jmp 2b
3:
  mov r12, [rsp+{_Frame.FRAME}]
  mov rax, [rsp+{_Frame.BEFORE}]
  mov [r12-8], rax"""


def _ask(service: int) -> str:
    return f"""\
  mov rdx, [rsp+{_Frame.CONTEXT}]
  mov ecx, {service}
  mov r8, [rsp+{_Frame.FRAME}]
  mov r9, rsp
  call ask_python"""


_LEAVE: Final = f"""\
  mov rsp, [rsp+{_Frame.STACK}]
  pop r15
  pop r13
  pop r12
  pop rbx
  pop rbp"""

HOST: Final = f"""\
# A host function: its record is in rax, the context of the caller in r12. Like any function it preserves what functions
# preserve.
.globl host_function
host_function:
{SAVE}
  call host_function_here
.globl host_returned
host_returned:
host_returned_here:
{RESTORE}
  mov rdi, [r13]
  movups xmm1, [r13]
  ret

# The same where Python has to convert what it takes and gives.
.globl host_function_slow
host_function_slow:
{SAVE}
  mov rcx, rax
  mov eax, {layout.HOST_CALL}
  lea rdx, [rip+host_returned_here]
  push rdx
  jmp call_host_here

host_function_here:
  cmp rsp, [r12+{Context.STACK_LIMIT}]
  jb call_host_overflow
  push rbp
  push rbx
  push r12
  push r13
  push r15
  mov rcx, rsp
  sub rsp, {_Frame.SIZE}
  and rsp, -16
  mov [rsp+{_Frame.STACK}], rcx
  add rcx, 40
  mov [rsp+{Reply.CALLER}], rcx
  mov [rsp+{Reply.RECORD}], rax
  mov [rsp+{_Frame.FRAME}], r13
  mov [rsp+{_Frame.CONTEXT}], r12
  mov rcx, [r13-8]
  mov [rsp+{_Frame.BEFORE}], rcx
  mov r15, [r12+{Context.THREAD}]
  mov rbp, [rax+{Record.PROGRAM}]
  # A nested call begins behind our operands.
  mov rcx, [rbp+{Program.SIZE}]
  add rcx, r13
  mov [r15+{Thread.TOP}], rcx
  lea r14, [rip+blob_start+{DATA}]
{TO_PYTHON}
  mov rbx, r13
  mov r12, r13
  lea r13, [rip+host_unboxed]
  add rbp, {Program.STEPS}
{NEXT}

# The first argument is the Caller. It takes the slot before the frame.
.globl box_caller
box_caller:
  mov rax, [rsp+{_Frame.CONTEXT}]
  mov rax, [rax+{Context.CALLER}]
  mov [rbx-8], rax
{NEXT}

# Operands: the number of arguments, with PY_VECTORCALL_ARGUMENTS_OFFSET; and where the first one is, from the frame.
.globl call_python
call_python:
  mov rax, [rsp+{Reply.RECORD}]
  mov rdi, [rax+{Record.CALLABLE}]
  mov rsi, [rsp+{_Frame.FRAME}]
  add rsi, [rbp+8]
  mov rdx, [rbp]
  xor ecx, ecx
  call [r14+{Data.VECTORCALL}]
  mov [rsp+{Reply.OBJECT}], rax
{_RELEASE_ARGUMENTS}
  lea rbx, [rsp+{Reply.OBJECT}]
  lea r13, [rip+host_unfit]
  mov rax, [rbx]
  test rax, rax
  jz host_raised
{skip(2)}

.globl expect_none
expect_none:
  mov rax, [rsp+{Reply.OBJECT}]
  cmp rax, [r14+{Data.NONE}]
  jne unfit
{NEXT}

# Several results are exactly a tuple. Operands: how many, and where there is room for them, from the frame.
.globl unpack
unpack:
  mov rdi, [rsp+{Reply.OBJECT}]
  mov rdx, [r14+{Data.TYPE}]
  mov rax, [rdi+rdx]
  cmp rax, [r14+{Data.TUPLE}]
  jne unfit
  mov rcx, [rbp]
  cmp rcx, [rdi+rdx+8]
  jne unfit
  mov rbx, [rsp+{_Frame.FRAME}]
  add rbx, [rbp+8]
  add rdi, [r14+{Data.TUPLE_ITEMS}]
unpack_more:
  mov rax, [rdi+rcx*8-8]
  mov [rbx+rcx*8-8], rax
  dec rcx
  jnz unpack_more
{skip(2)}

.globl host_done
host_done:
host_finish:
  mov rdi, [rsp+{Reply.OBJECT}]
  call [r14+{Data.DECREF}]
  mov r12, [rsp+{_Frame.CONTEXT}]
{TO_WASM}
  ldmxcsr [r14+{Data.CONTROL}]
  mov rax, r15
{_LEAVE}
  cmp qword ptr [rax+{Thread.SIGNALS}], 0
  jne host_requested
host_on:
  # Python may have grown the memory.
  mov r14, [r12+{Context.MEMORY}]
  ret
host_requested:
  sub rsp, {RED_ZONE}
  call safepoint
  jmp host_on

# An argument could not be made into an object: there is an exception.
host_unboxed:
{_RELEASE_ARGUMENTS}
host_leave:
  mov eax, {layout.PYTHON_EXCEPTION}
{_LEAVE}
  jmp trap_here

# What it returned is not what machine code converts.
host_unfit:
  test eax, eax
  jnz host_unfit_raised
{_ask(layout.HOST_RESULT)}
  test eax, eax
  jz host_finish
host_unfit_raised:
  mov rdi, [rsp+{Reply.OBJECT}]
  call [r14+{Data.DECREF}]
  jmp host_leave

# It raised an exception. Wasm code may catch a WasmException.
host_raised:
  mov rdi, [r14+{Data.WASM_EXCEPTION}]
  call [r14+{Data.ERROR_MATCHES}]
  test eax, eax
  jz host_leave
{fetch(_Frame.ERROR)}
  mov rax, [rsp+{_Frame.ERROR + 8}]
  mov [rsp+{Reply.OBJECT}], rax
{_ask(layout.HOST_RAISED)}
  mov ebx, eax
  test eax, eax
  jnz host_raised_caught
{restore(_Frame.ERROR)}
  jmp host_leave
host_raised_caught:
  mov rdi, [rsp+{_Frame.ERROR}]
  call [r14+{Data.DECREF}]
  mov rdi, [rsp+{_Frame.ERROR + 8}]
  call [r14+{Data.DECREF}]
  cmp ebx, {layout.RESUME}
  jne host_leave
  mov r12, [rsp+{_Frame.CONTEXT}]
{TO_WASM}
  ldmxcsr [r14+{Data.CONTROL}]
  jmp call_host_resume
"""
