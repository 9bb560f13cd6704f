"""Entering wasm code from Python, and leaving it by a trap."""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.amd64.linux import DATA, RED_ZONE
from wasmine.compiler.machine.layout import Activation, Call, Context, Data, Record, Thread

PUSH: Final = """\
  push rbp
  push rbx
  push r12
  push r13
  push r14
  push r15"""
POP: Final = """\
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  pop rbp"""

# Take the context in rcx for the thread block in rdx: afterwards "equal" says that it is ours. Clobbers rax only if
# it was not. It is given back when the innermost `run` ends.
TAKE: Final = f"""\
  xor eax, eax
  lock cmpxchg [rcx+{Context.THREAD}], rdx
  jne 1f
  mov rax, [rdx+{Thread.STACK_LIMIT}]
  mov [rcx+{Context.STACK_LIMIT}], rax
  mov rax, [rdx+{Thread.VALUES_LIMIT}]
  mov [rcx+{Context.VALUES_LIMIT}], rax
  mov rax, [rdx+{Thread.OWNED}]
  mov [rcx+{Context.NEXT}], rax
  mov [rdx+{Thread.OWNED}], rcx
  xor eax, eax
1:"""

TO_PYTHON: Final = f"""\
  mov dword ptr [r15+{Thread.INSIDE}], 0
  mov rdi, [r15+{Thread.STATE}]
  test rdi, rdi
  jz 1f
  mov qword ptr [r15+{Thread.STATE}], 0
  call [r14+{Data.RESTORE_THREAD}]
1:"""
"""From wasm code to Python, in the thread r15, with the data page in r14 and an aligned stack: the GIL is held then."""

TO_WASM: Final = f"  mov dword ptr [r15+{Thread.INSIDE}], 1"
"""Back to wasm code, with the GIL. Whoever does it has to look at Thread.SIGNALS afterwards.

The GIL is not released here, even if it was before: who releases and takes it all the time leaves other threads no moment
to get it, and they do not ask for it either, as they do when they have waited in vain (CPython's `take_gil`). If wasm code
goes on for long, the ticker asks.
"""

# Calls need rsp to be a multiple of 16; the address that we return to is behind the activation.
_SIZE: Final = (Activation.SIZE + 7 & -16) + 8

ENTRY: Final = f"""\
# int enter(frame): call wasm code. The arguments lie in the frame, the record of the function in the call before it.
# 0: it returned; results are in the frame or in the call. 1: it trapped, the call says how. The GIL is held at both ends.
.globl enter
enter:
{PUSH}
  sub rsp, 24
  mov r13, rdi
  lea r14, [rip+blob_start+{DATA}]
  mov rdi, [r14+{Data.THREAD_KEY}]
  call [r14+{Data.GET_SPECIFIC}]
  mov r15, rax
  stmxcsr [rsp]
  ldmxcsr [r14+{Data.CONTROL}]
  call run
  ldmxcsr [rsp]
  add rsp, 24
{POP}
  ret

# The same for machine code: the frame in r13, the data page in r14, the thread block in r15, and the processor's control
# register as wasm wants it. r14 and r15 are the same afterwards, and if it returned, rbp.
run:
  sub rsp, {_SIZE}
  mov [rsp+{Activation.FRAME}], r13
  mov [rsp+{Activation.THREAD}], r15
  mov rax, [r15+{Thread.ACTIVATION}]
  mov [rsp+{Activation.PREVIOUS}], rax
  mov rax, [r15+{Thread.OWNED}]
  mov [rsp+{Activation.OWNED}], rax
  mov rax, [r15+{Thread.TOP}]
  mov [rsp+{Activation.TOP}], rax
  mov rbx, [r13+{Call.RECORD - Call.FRAME}]
  mov rcx, [rbx+{Record.CONTEXT}]
  mov rdx, r15
  cmp [rcx+{Context.THREAD}], rdx
  je run_taken
{TAKE}
  jne run_busy
run_taken:
  mov r12, rcx
  mov [r15+{Thread.ACTIVATION}], rsp
  cmp dword ptr [r12+{Context.RELEASE}], 0
  je run_kept
  call [r14+{Data.SAVE_THREAD}]
  mov [r15+{Thread.STATE}], rax
run_kept:
{TO_WASM}
  cmp qword ptr [r15+{Thread.SIGNALS}], 0
  jne run_requested
run_on:
  mov r14, [r12+{Context.MEMORY}]
  mov rax, rbx
  call [rax+{Record.CODE}]
.globl enter_returned
enter_returned:
  mov rcx, [rsp+{Activation.FRAME}]
  mov [rcx+{Call.RESULT - Call.FRAME}], rdi
  movups [rcx+{Call.RESULT_VECTOR - Call.FRAME}], xmm1
  xor ebx, ebx
run_leave:
  mov r15, [rsp+{Activation.THREAD}]
  lea r14, [rip+blob_start+{DATA}]
  mov rax, [rsp+{Activation.PREVIOUS}]
  mov [r15+{Thread.ACTIVATION}], rax
  # Give back what was taken since.
  mov rdx, [rsp+{Activation.OWNED}]
  mov rax, [r15+{Thread.OWNED}]
run_release:
  cmp rax, rdx
  je run_released
  mov rcx, [rax+{Context.NEXT}]
  mov qword ptr [rax+{Context.THREAD}], 0
  mov rax, rcx
  jmp run_release
run_released:
  mov [r15+{Thread.OWNED}], rdx
  mov rax, [rsp+{Activation.TOP}]
  mov [r15+{Thread.TOP}], rax
{TO_PYTHON}
  mov eax, ebx
  add rsp, {_SIZE}
  ret
run_requested:
  sub rsp, {RED_ZONE}
  call safepoint
  jmp run_on
run_busy:
  mov qword ptr [r13+{Call.TRAP - Call.FRAME}], {layout.BUSY}
  mov qword ptr [r13+{Call.TRAP_PC - Call.FRAME}], 0
  mov [r13+{Call.TRAP_CONTEXT - Call.FRAME}], rcx
  mov qword ptr [r13+{Call.STACK_COPIED - Call.FRAME}], 0
  mov eax, 1
  add rsp, {_SIZE}
  ret

# uint64 registers(words): write the registers that C functions preserve; the stack pointer.
.globl registers
registers:
  mov [rdi], rbx
  mov [rdi+8], rbp
  mov [rdi+16], r12
  mov [rdi+24], r13
  mov [rdi+32], r14
  mov [rdi+40], r15
  mov rax, rsp
  ret

# uint64 seize(context, owner): take a context that is nobody's. Whose it was; 0: it is taken now.
.globl seize
seize:
  xor eax, eax
  lock cmpxchg [rdi+{Context.THREAD}], rsi
  ret

# Explicit traps: wasm code *calls* this with the trap's number in eax, so the return address is the place, and in rdx what
# there is to tell of it.
.globl trap
trap:
trap_here:
  mov rdi, [r12+{Context.THREAD}]
  pop rcx
  mov [rdi+{Thread.TRAP}+{Call.TRAP_PC - Call.TRAP}], rcx
  mov [rdi+{Thread.TRAP}], rax
  mov [rdi+{Thread.TRAP}+{Call.TRAP_ADDRESS - Call.TRAP}], rdx
  mov qword ptr [rdi+{Thread.TRAP}+{Call.TRAP_SIGNAL - Call.TRAP}], 0
  mov [rdi+{Thread.TRAP}+{Call.TRAP_STACK - Call.TRAP}], rsp
  mov [rdi+{Thread.TRAP}+{Call.TRAP_CONTEXT - Call.TRAP}], r12
# rdi: the thread. Note the trap where the frame of the call was, with a copy of the native stack for the wasm call stack,
# then go on in `run`.
leave_by_trap:
  cld
  mov rdx, rdi
  mov rbx, [rdx+{Thread.ACTIVATION}]
  lea rsi, [rdx+{Thread.TRAP}]
  mov rdi, [rbx+{Activation.FRAME}]
  mov ecx, {(Call.STACK_COPIED - Call.TRAP) // 8}
  rep movsq
  mov rsi, [rdx+{Thread.TRAP}+{Call.TRAP_STACK - Call.TRAP}]
  mov rcx, rbx
  xor eax, eax
  sub rcx, rsi
  cmovb rcx, rax
  mov eax, {Call.STACK_COPY_SIZE}
  cmp rcx, rax
  cmova rcx, rax
  mov [rdi], rcx
  add rdi, {Call.STACK_COPY - Call.STACK_COPIED}
  rep movsb
  mov rsp, rbx
  mov ebx, 1
  jmp run_leave
"""
