"""What interrupts wasm code: the safepoint, and the signal handlers that lead to it."""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.amd64.linux import DATA, RED_ZONE, SYS_TGKILL, UC_RIP, UC_RSP
from wasmine.compiler.machine.layout import KICK, TOP_SLACK, Call, Data, Thread

_REGISTERS: Final = ("rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", *(f"r{i}" for i in range(8, 16)))
_PUSHED: Final = {name: 8 * i for i, name in enumerate(reversed(_REGISTERS))}
_RETURN: Final = 8 * (len(_REGISTERS) + 1)

INTERRUPTS: Final = f"""\
# Where wasm code is interrupted, and where it begins and goes on while something is asked for (Thread.SIGNALS, STOP).
# The GIL may be released or kept (Thread.STATE).
# It is called with the red zone skipped, and takes it back. Every register is as before when it returns; or the innermost
# `enter` is left with what Python's signal handlers raised, or with Data.EXPIRED.
safepoint:
  pushfq
{chr(10).join(f"  push {name}" for name in _REGISTERS)}
  cld
  mov rbp, rsp
  lea r15, [rip+blob_start+{DATA}]
  sub rsp, [r15+{Data.PROCESSOR_SIZE}]
  and rsp, -64
  mov eax, [r15+{Data.PROCESSOR_PARTS}]
  xor edx, edx
  test eax, eax
  jz safepoint_short
{chr(10).join(f"  mov [rsp+{offset}], rdx" for offset in range(512, 576, 8))}
  xsave64 [rsp]
  jmp safepoint_saved
safepoint_short:
  fxsave64 [rsp]
safepoint_saved:
  mov rdi, [r15+{Data.THREAD_KEY}]
  call [r15+{Data.GET_SPECIFIC}]
  mov r12, rax
  # What signal handlers call begins behind the frame of the function that was interrupted, whichever it is.
  mov rbx, [r12+{Thread.TOP}]
  lea rax, [r13+{TOP_SLACK}]
  add rax, [r15+{Data.LARGEST_FRAME}]
  mov [r12+{Thread.TOP}], rax
  # r13d: whether the GIL is to be released when wasm code goes on.
  xor r13d, r13d
safepoint_again:
  mov dword ptr [r12+{Thread.INSIDE}], 0
  mov rdi, [r12+{Thread.STATE}]
  test rdi, rdi
  jz safepoint_held
  mov r13d, 1
  call [r15+{Data.RESTORE_THREAD}]
  mov qword ptr [r12+{Thread.STATE}], 0
safepoint_held:
  xor r14d, r14d
  xchg [r12+{Thread.SIGNALS}], r14d
  test r14d, {layout.START_TICKER}
  jz safepoint_ticking
  call start_ticker
  or r13d, eax
safepoint_ticking:
  test r14d, {layout.RELEASE}
  jz safepoint_kept
  mov r13d, 1
safepoint_kept:
  test r14d, {layout.HOOK}
  jz safepoint_hooked
  mov edi, 1
  call hook_signals
safepoint_hooked:
  xor r14d, r14d
  call [r15+{Data.CHECK_SIGNALS}]
  test eax, eax
  jnz safepoint_raised
  cmp dword ptr [r12+{Thread.STOP}], 0
  je safepoint_quiet
  mov rdi, [r15+{Data.EXPIRED}]
  call [r15+{Data.SET_NONE}]
safepoint_raised:
  mov r14d, 1
safepoint_quiet:
  test r13d, r13d
  jz safepoint_on
  call [r15+{Data.SAVE_THREAD}]
  mov [r12+{Thread.STATE}], rax
safepoint_on:
  mov dword ptr [r12+{Thread.INSIDE}], 1
  test r14d, r14d
  jnz safepoint_leave
  cmp qword ptr [r12+{Thread.SIGNALS}], 0
  jne safepoint_again
  mov [r12+{Thread.TOP}], rbx
  cmp dword ptr [r15+{Data.TICKER}], 0
  jne safepoint_restore
  # There is none, and none could be started: the next call tries again.
  lock or dword ptr [r12+{Thread.SIGNALS}], {layout.START_TICKER}
safepoint_restore:
  mov eax, [r15+{Data.PROCESSOR_PARTS}]
  xor edx, edx
  test eax, eax
  jz safepoint_short_back
  xrstor64 [rsp]
  jmp safepoint_back
safepoint_short_back:
  fxrstor64 [rsp]
safepoint_back:
  mov rsp, rbp
{chr(10).join(f"  pop {name}" for name in reversed(_REGISTERS))}
  popfq
  ret {RED_ZONE}
safepoint_leave:
  mov rdi, r12
  mov qword ptr [rdi+{Thread.TRAP}], {layout.PYTHON_EXCEPTION}
  # The place, as that of a call that returns behind it. If it is not in wasm code: the blob calls us with the address that
  # it is about to return to on top of its stack.
  lea rcx, [rbp+{_RETURN + 8 + RED_ZONE}]
  mov rax, [rbp+{_RETURN}]
  inc rax
  mov rdx, rax
  sub rdx, [r15+{Data.CODE_START}]
  cmp rdx, [r15+{Data.CODE_SIZE}]
  jb safepoint_placed
  mov rax, [rcx]
  add rcx, 8
safepoint_placed:
  mov [rdi+{Thread.TRAP}+{Call.TRAP_PC - Call.TRAP}], rax
  mov [rdi+{Thread.TRAP}+{Call.TRAP_STACK - Call.TRAP}], rcx
  mov qword ptr [rdi+{Thread.TRAP}+{Call.TRAP_SIGNAL - Call.TRAP}], 0
  mov rcx, [rbp+{_PUSHED["r12"]}]
  mov [rdi+{Thread.TRAP}+{Call.TRAP_CONTEXT - Call.TRAP}], rcx
  jmp leave_by_trap

# void kick(signal, siginfo, ucontext): a signal that says that something is asked for. Wasm code goes on at `safepoint`;
# anything else looks by itself when it comes to wasm code; and the signal is sent again as long as nobody looked.
.globl kick
kick:
kick_here:
  push rbx
  push r12
  push r13
  mov ebx, edi
  mov r12, rsi
  mov r13, rdx
  lea rax, [rip+blob_start+{DATA}]
  mov rdi, [rax+{Data.THREAD_KEY}]
  call [rax+{Data.GET_SPECIFIC}]
  test rax, rax
  jz kick_chain
  mov rcx, [rax+{Thread.SIGNALS}]
  and rcx, {~layout.START_TICKER}
  jz kick_chain
  cmp dword ptr [rax+{Thread.INSIDE}], 0
  je kick_done
  lea rdx, [rip+blob_start+{DATA}]
  mov rcx, [r13+{UC_RIP}]
  mov rax, rcx
  sub rax, [rdx+{Data.CODE_START}]
  cmp rax, [rdx+{Data.CODE_SIZE}]
  jae kick_done
  mov rax, [r13+{UC_RSP}]
  sub rax, {RED_ZONE + 8}
  mov [rax], rcx
  mov [r13+{UC_RSP}], rax
  lea rcx, [rip+safepoint]
  mov [r13+{UC_RIP}], rcx
  jmp kick_done
kick_chain:
  # Nothing is asked for: it was somebody else's.
  lea rcx, [rip+blob_start+{DATA}]
  mov rax, [rcx+{Data.PREVIOUS}+rbx*8]
  cmp rax, 1
  jbe kick_done
  mov edi, ebx
  mov rsi, r12
  mov rdx, r13
  call rax
kick_done:
  pop r13
  pop r12
  pop rbx
  ret

# void python_signal(signal, siginfo, ucontext): CPython's handler, which notes the signal; then the main thread is to look.
.globl python_signal
python_signal:
python_signal_here:
  push rbx
  lea rbx, [rip+blob_start+{DATA}]
  call [rbx+{Data.PYTHON_HANDLER}]
  mov rax, [rbx+{Data.MAIN_THREAD}]
  test rax, rax
  jz python_signal_done
  lock or dword ptr [rax+{Thread.SIGNALS}], {layout.LOOK}
  cmp dword ptr [rax+{Thread.INSIDE}], 0
  je python_signal_done
  # The main thread's id is the process's.
  mov edi, [rbx+{Data.PROCESS}]
  mov esi, edi
  mov edx, {KICK}
  mov eax, {SYS_TGKILL}
  syscall
python_signal_done:
  pop rbx
  ret

# void measure_processor(): what XSAVE has to save here of x87, SSE, AVX and AVX-512, and how much room that takes.
.globl measure_processor
measure_processor:
  push rbx
  lea r8, [rip+blob_start+{DATA}]
  mov qword ptr [r8+{Data.PROCESSOR_SIZE}], {512 + 64}
  mov qword ptr [r8+{Data.PROCESSOR_PARTS}], 0
  mov eax, 1
  cpuid
  bt ecx, 27
  jnc measured
  xor ecx, ecx
  xgetbv
  and eax, 0xE7
  mov [r8+{Data.PROCESSOR_PARTS}], rax
  mov eax, 0xD
  xor ecx, ecx
  cpuid
  add ebx, 64
  mov [r8+{Data.PROCESSOR_SIZE}], rbx
measured:
  pop rbx
  ret
"""
