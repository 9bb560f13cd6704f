"""Calls that leave the function's own instance: of Python, and of functions of other instances."""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.amd64.entry import TAKE, TO_PYTHON, TO_WASM
from wasmine.compiler.machine.amd64.linux import DATA, RED_ZONE
from wasmine.compiler.machine.layout import TOP_SLACK, Context, Data, Record, Reply, Thread
from wasmine.errors import TrapKind

# What functions preserve and C functions do not.
_SAVED_VECTORS: Final = range(6, 13)
_SAVED_SIZE: Final = 16 * len(_SAVED_VECTORS) + 8
SAVE: Final = "\n".join(
    (
        f"  sub rsp, {_SAVED_SIZE}",
        f"  mov [rsp+{_SAVED_SIZE - 8}], r10",
        *(f"  movups [rsp+{16 * i}], xmm{number}" for i, number in enumerate(_SAVED_VECTORS)),
    )
)
RESTORE: Final = "\n".join(
    (
        *(f"  movups xmm{number}, [rsp+{16 * i}]" for i, number in enumerate(_SAVED_VECTORS)),
        f"  mov r10, [rsp+{_SAVED_SIZE - 8}]",
        f"  add rsp, {_SAVED_SIZE}",
    )
)

HOST_FRAME: Final = _SAVED_SIZE
"""Bytes between the stack pointer and the return address in `call_host`, `host_function` and `compile_function`."""

OTHER_FRAME: Final = 8
"""The same in the switch to another instance: what lies above `other_return`."""

# From the context in r12 to that of the record in rax, whose context in rcx is ours already.
_SWITCH: Final = f"""\
  mov r12, rcx
  mov r14, [rcx+{Context.MEMORY}]"""

CALLS: Final = f"""\
# Call of Python from wasm code: eax is the number of the service, its operands lie in the value stack.
.globl call_host
call_host:
call_host_entry:
{SAVE}
  call call_host_here
.globl service_returned
service_returned:
{RESTORE}
  ret

# int service(context, service, frame, reply), with the GIL taken: its number is in eax, what goes to Reply.RECORD in rcx.
# Not 0 is RESUME or a trap. rax is Reply.PC afterwards. An exception stays Python's current one until `run` returns.
call_host_here:
  cmp rsp, [r12+{Context.STACK_LIMIT}]
  jb call_host_overflow
  push rbp
  mov rbp, rsp
  push rbx
  push r15
  sub rsp, {Reply.SIZE}
  and rsp, -16
  mov [rsp+{Reply.RECORD}], rcx
  lea rcx, [rbp+8]
  mov [rsp+{Reply.CALLER}], rcx
  mov ebx, eax
  mov r15, [r12+{Context.THREAD}]
  lea r14, [rip+blob_start+{DATA}]
  # A nested call begins behind our operands.
  lea rcx, [r13+{TOP_SLACK}]
  mov [r15+{Thread.TOP}], rcx
{TO_PYTHON}
  mov rdx, r12
  mov ecx, ebx
  mov r8, r13
  mov r9, rsp
  call ask_python
  mov ebx, eax
{TO_WASM}
  ldmxcsr [r14+{Data.CONTROL}]
  test ebx, ebx
  jnz call_host_special
  mov rax, [rsp+{Reply.PC}]
  mov r15, [rbp-16]
  mov rbx, [rbp-8]
  mov rsp, rbp
  pop rbp
  mov rcx, [r12+{Context.THREAD}]
  cmp qword ptr [rcx+{Thread.SIGNALS}], 0
  jne call_host_requested
call_host_on:
  # Python may have grown the memory.
  mov r14, [r12+{Context.MEMORY}]
  ret
call_host_requested:
  sub rsp, {RED_ZONE}
  call safepoint
  jmp call_host_on
call_host_special:
  mov eax, ebx
  cmp eax, {layout.RESUME}
  je call_host_resume
  mov r15, [rbp-16]
  mov rbx, [rbp-8]
  mov rsp, rbp
  pop rbp
  jmp trap_here
call_host_resume:
  # A handler was found for an exception: its function goes on, whatever lay between is gone.
  mov r13, [rsp+{Reply.FRAME}]
  mov r12, [rsp+{Reply.CONTEXT}]
  mov r14, [r12+{Context.MEMORY}]
  mov rax, [rsp+{Reply.PC}]
  mov rsp, [rsp+{Reply.STACK}]
  jmp rax
call_host_overflow:
  mov eax, {layout.trap_number(TrapKind.STACK_OVERFLOW)}
  jmp trap_here

# int service(context, service, frame, reply), with the GIL held: they are in rdx, ecx, r8 and r9, the data page in r14.
# PYTHON_EXCEPTION if it raised something.
ask_python:
  push rbx
  mov rdi, [rdx+{Context.CALL_HOST}]
  lea rsi, [rip+ask_python_format]
  xor eax, eax
  call [r14+{Data.CALL_FUNCTION}]
  mov rbx, rax
  mov eax, {layout.PYTHON_EXCEPTION}
  test rbx, rbx
  jz ask_python_done
  sub rsp, 16
  mov rdi, rbx
  call [r14+{Data.AS_LONG}]
  mov [rsp], rax
  mov rdi, rbx
  call [r14+{Data.DECREF}]
  mov rax, [rsp]
  add rsp, 16
ask_python_done:
  pop rbx
  ret
ask_python_format:
  .asciz "KIKK"

# A function that was not compiled yet: a stub has put its index into eax. It is compiled, then runs.
.globl compile_function
compile_function:
{SAVE}
  or eax, {layout.COMPILE}
  call call_host_here
.globl compile_returned
compile_returned:
{RESTORE}
  jmp rax

# Call a function by its record in rax, wherever it belongs.
.globl call_record
call_record:
  mov rcx, [rax+{Record.CONTEXT}]
  cmp rcx, r12
  je call_record_here
  test rcx, rcx
  jnz call_other
call_record_here:
  jmp [rax+{Record.CODE}]

# The same as a tail call: our frame is gone.
.globl jump_record
jump_record:
  mov rcx, [rax+{Record.CONTEXT}]
  cmp rcx, r12
  je call_record_here
  test rcx, rcx
  jz call_record_here
  jmp tail_other

# rax is the record of another instance's function, rcx its context. It must not be in use by another thread.
call_other:
  mov rdx, [r12+{Context.THREAD}]
  cmp [rcx+{Context.THREAD}], rdx
  jne call_other_take
call_other_taken:
  push r12
{_SWITCH}
  call [rax+{Record.CODE}]
.globl other_return
other_return:
other_return_here:
  pop r12
  mov r14, [r12+{Context.MEMORY}]
  ret
call_other_take:
  push rax
{TAKE}
  pop rax
  je call_other_taken
other_busy:
  mov eax, {layout.BUSY}
  jmp trap_here

# The same as a tail call: rax is the record, our frame is gone. If our own caller is `call_other`'s end already, nothing
# is left to restore for us; so the stack does not grow however often instances tail-call each other.
tail_other:
  mov rdx, [r12+{Context.THREAD}]
  cmp [rcx+{Context.THREAD}], rdx
  jne tail_other_take
tail_other_taken:
  lea rdx, [rip+other_return_here]
  cmp [rsp], rdx
  je tail_other_switch
  push r12
  push rdx
tail_other_switch:
{_SWITCH}
  jmp [rax+{Record.CODE}]
tail_other_take:
  push rax
{TAKE}
  pop rax
  je tail_other_taken
  jmp other_busy
"""
