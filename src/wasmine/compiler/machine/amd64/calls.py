"""Calls that leave the function's own instance: of Python, and of functions of other instances."""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.amd64.entry import TAKE
from wasmine.compiler.machine.amd64.linux import DATA, RED_ZONE
from wasmine.compiler.machine.layout import TOP_SLACK, Context, Data, Record, Reply, Thread
from wasmine.errors import TrapKind

# What functions preserve and C functions do not.
_SAVED_VECTORS: Final = range(6, 13)
_SAVED_SIZE: Final = 16 * len(_SAVED_VECTORS) + 8
_SAVE: Final = "\n".join(
    (
        f"  sub rsp, {_SAVED_SIZE}",
        f"  mov [rsp+{_SAVED_SIZE - 8}], r10",
        *(f"  movups [rsp+{16 * i}], xmm{number}" for i, number in enumerate(_SAVED_VECTORS)),
    )
)
_RESTORE: Final = "\n".join(
    (
        *(f"  movups xmm{number}, [rsp+{16 * i}]" for i, number in enumerate(_SAVED_VECTORS)),
        f"  mov r10, [rsp+{_SAVED_SIZE - 8}]",
        f"  add rsp, {_SAVED_SIZE}",
    )
)

# Of a call of Python.
_REPLY_SIZE: Final = 64

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
{_SAVE}
  call call_host_here
.globl service_returned
service_returned:
{_RESTORE}
  ret

# int service(context, service, frame, reply), with the GIL taken. Not 0 is RESUME or a trap. rax is Reply.PC afterwards.
# An exception stays Python's current one until `enter` returns.
call_host_here:
  cmp rsp, [r12+{Context.STACK_LIMIT}]
  jb call_host_overflow
  push rbp
  mov rbp, rsp
  push rbx
  sub rsp, {_REPLY_SIZE}
  and rsp, -16
  lea rcx, [rbp+8]
  mov [rsp+{Reply.CALLER}], rcx
  mov ebx, eax
  mov rdx, [r12+{Context.THREAD}]
  # A nested call begins behind our operands.
  lea rcx, [r13+{TOP_SLACK}]
  mov [rdx+{Thread.TOP}], rcx
  mov dword ptr [rdx+{Thread.INSIDE}], 0
  mov rdi, [rdx+{Thread.STATE}]
  lea rax, [rip+blob_start+{DATA}]
  call [rax+{Data.RESTORE_THREAD}]
  mov rdi, [r12+{Context.CALL_HOST}]
  lea rsi, [rip+call_host_format]
  mov rdx, r12
  mov ecx, ebx
  mov r8, r13
  mov r9, rsp
  lea rax, [rip+blob_start+{DATA}]
  mov rbx, [rax+{Data.CALL_FUNCTION}]
  xor eax, eax
  call rbx
  mov ebx, {layout.PYTHON_EXCEPTION}
  test rax, rax
  jz call_host_answered
  push rax
  push rax
  mov rdi, rax
  lea rax, [rip+blob_start+{DATA}]
  call [rax+{Data.AS_LONG}]
  mov rbx, rax
  pop rdi
  pop rax
  lea rax, [rip+blob_start+{DATA}]
  call [rax+{Data.DECREF}]
call_host_answered:
  lea rax, [rip+blob_start+{DATA}]
  call [rax+{Data.SAVE_THREAD}]
  mov rdx, [r12+{Context.THREAD}]
  mov [rdx+{Thread.STATE}], rax
  mov dword ptr [rdx+{Thread.INSIDE}], 1
  lea rax, [rip+blob_start+{DATA}]
  ldmxcsr [rax+{Data.CONTROL}]
  mov eax, ebx
  test eax, eax
  jnz call_host_special
  cmp qword ptr [rdx+{Thread.SIGNALS}], 0
  jne call_host_requested
call_host_on:
  mov rax, [rsp+{Reply.PC}]
  mov rbx, [rbp-8]
  mov rsp, rbp
  pop rbp
  # Python may have grown the memory.
  mov r14, [r12+{Context.MEMORY}]
  ret
call_host_requested:
  sub rsp, {RED_ZONE}
  call safepoint
  jmp call_host_on
call_host_special:
  cmp eax, {layout.RESUME}
  je call_host_resume
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
call_host_format:
  .asciz "KIKK"

# A host function: a stub has put its number into eax. Like any function it preserves what functions preserve.
.globl host_function
host_function:
{_SAVE}
  call call_host_here
.globl host_returned
host_returned:
{_RESTORE}
  mov rdi, [r13]
  movups xmm1, [r13]
  ret

# A function that was not compiled yet: a stub has put its index into eax. It is compiled, then runs.
.globl compile_function
compile_function:
{_SAVE}
  or eax, {layout.COMPILE}
  call call_host_here
.globl compile_returned
compile_returned:
{_RESTORE}
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
