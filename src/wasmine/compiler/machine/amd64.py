"""What is x86-64's alone: the hand-written sequences, as assembly text, and the shape of Linux's signal frames.

`ASSEMBLY` is assembled when the package is built (`templates.build`) and lies in the template library as one
position-independent blob with the offsets of its global symbols. Behind the blob, at `DATA`, lies a page of data that
`glue` fills in before use (`Data`).

Registers in wasm code: r12 the VM context, r13 the frame in the value stack, r14 the base of memory 0. Everything else is
the compiler's; rax, rcx and rdx are scratch everywhere.
"""

from __future__ import annotations

import zlib
from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.layout import Activation, Call, Context, Record, Reply, Thread
from wasmine.errors import TrapKind


class Data:
    """Offsets in the blob's data page."""

    CODE_START: Final = 0  # the arena: a fault whose pc lies in it is a trap
    CODE_SIZE: Final = 8
    THREAD_KEY: Final = 16
    GET_SPECIFIC: Final = 24  # address of pthread_getspecific
    PROCESS: Final = 32  # the process id
    CONTROL: Final = 40  # 4 bytes: MXCSR in wasm code
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
    PROCESSOR_PARTS: Final = 760  # which parts XSAVE saves, 0: there is only FXSAVE
    CHAINING: Final = 1024  # CHAINS pairs (thread id, stack pointer), by thread id: who is calling an earlier handler
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
}
"""The functions of CPython's stable ABI whose addresses lie in the data page."""

CONTROL: Final = 0x1F80
"""MXCSR as WebAssembly wants it: round to nearest, subnormal numbers as they are, no exceptions."""

DATA: Final = 4096
"""Where the data page lies behind the start of the blob."""

# Offsets in the ucontext_t of Linux/x86-64 (sys/ucontext.h): uc_mcontext.gregs starts at 40.
_UC_R12, _UC_RDI, _UC_RSP, _UC_RIP = 72, 104, 160, 168
KICK: Final = 23
"""SIGURG: ignored unless somebody wants it, so one that comes too late does no harm."""

# Offsets in siginfo_t.
_SI_CODE, _SI_ADDR = 8, 16
# System call numbers (asm/unistd_64.h).
_SYS_RT_SIGACTION, _SYS_GETTID, _SYS_TGKILL = 13, 186, 234

# From the context in r12 to that of the record in rax, whose context in rcx is ours already.
_SWITCH: Final = f"""\
  mov r12, rcx
  mov r14, [rcx+{Context.MEMORY}]"""


# Take the context in rcx for the thread block in rdx: afterwards "equal" says that it is ours. Clobbers rax only if
# it was not. It is given back when the innermost `enter` ends.
_TAKE: Final = f"""\
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

TOP_SLACK: Final = 16 << 10
"""Bytes of the value stack, from the frame of a call of Python on, that calls from there leave alone: 1,000 parameters or
results, the most that a type may have, take no more."""

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

# Of `enter` behind the registers that it pushes: the activation. Calls need rsp to be a multiple of 16.
_ENTER_SIZE: Final = (Activation.SIZE + 15 & -16) + 8
# Of a call of Python.
_REPLY_SIZE: Final = 64

HOST_FRAME: Final = _SAVED_SIZE
"""Bytes between the stack pointer and the return address in `call_host`, `host_function` and `compile_function`."""

OTHER_FRAME: Final = 8
"""The same in the switch to another instance: what lies above `other_return`."""


def stub(symbol: int, number: int, at: int) -> bytes:
    """`mov eax, number; jmp symbol`, to lie at an address near the symbol's."""
    distance = symbol - (at + STUB_SIZE)
    return b"\xb8" + number.to_bytes(4, "little") + b"\xe9" + distance.to_bytes(4, "little", signed=True)


STUB_SIZE: Final = 10


def _bulk(bits: int) -> str:
    """memory.fill and memory.copy for indices of so many bits: `fill32`, `copy32`, ... They are called with the operands
    in slots from the address in rax on, and the addresses of (base, length) pairs in rdx (and rcx, for the source).

    Bounds are checked first, so nothing is written if any byte lies outside. Only rax, rcx and rdx are clobbered.
    """
    count, index, source = ("ecx", "edi", "esi") if bits == 32 else ("rcx", "rdi", "rsi")
    out_of_bounds = layout.trap_number(TrapKind.MEMORY_OUT_OF_BOUNDS)
    return f"""
.globl fill{bits}
fill{bits}:
  push rdi
  mov {index}, [rax]
  mov {count}, [rax+16]
  push rcx
  add rcx, rdi
  jc fill{bits}_outside
  cmp rcx, [rdx+8]
  ja fill{bits}_outside
  pop rcx
  add rdi, [rdx]
  mov eax, [rax+8]
  rep stosb
  pop rdi
  ret
fill{bits}_outside:
  add rsp, 16
  mov eax, {out_of_bounds}
  jmp trap_here

.globl copy{bits}
copy{bits}:
  push rdi
  push rsi
  push rbx
  mov rbx, rcx
  mov {index}, [rax]
  mov {source}, [rax+8]
  mov {count}, [rax+16]
  mov rax, rdi
  add rax, rcx
  jc copy{bits}_outside
  cmp rax, [rdx+8]
  ja copy{bits}_outside
  mov rax, rsi
  add rax, rcx
  jc copy{bits}_outside
  cmp rax, [rbx+8]
  ja copy{bits}_outside
  add rdi, [rdx]
  add rsi, [rbx]
  # Backwards only if the destination lies in the source: dst - src < count, unsigned.
  mov rax, rdi
  sub rax, rsi
  cmp rax, rcx
  jb copy{bits}_backwards
  rep movsb
  jmp copy{bits}_done
copy{bits}_backwards:
  std
  lea rdi, [rdi+rcx-1]
  lea rsi, [rsi+rcx-1]
  mov rax, rcx
  and ecx, 7
  rep movsb
  mov rcx, rax
  shr rcx, 3
  sub rdi, 7
  sub rsi, 7
  rep movsq
  cld
copy{bits}_done:
  pop rbx
  pop rsi
  pop rdi
  ret
copy{bits}_outside:
  pop rbx
  pop rsi
  pop rdi
  mov eax, {out_of_bounds}
  jmp trap_here
"""


RED_ZONE: Final = 128
"""Bytes below the stack pointer that signal handlers leave alone, and so does whoever interrupts code."""

_REGISTERS: Final = ("rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", *(f"r{i}" for i in range(8, 16)))
_PUSHED: Final = {name: 8 * i for i, name in enumerate(reversed(_REGISTERS))}
_RETURN: Final = 8 * (len(_REGISTERS) + 1)

_INTERRUPTS: Final = f"""
# Where wasm code is interrupted, and where it begins and goes on while something is asked for (Thread.SIGNALS, STOP).
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
safepoint_again:
  mov dword ptr [r12+{Thread.INSIDE}], 0
  mov rdi, [r12+{Thread.STATE}]
  call [r15+{Data.RESTORE_THREAD}]
  xor r14d, r14d
  xchg [r12+{Thread.SIGNALS}], r14d
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
  call [r15+{Data.SAVE_THREAD}]
  mov [r12+{Thread.STATE}], rax
  mov dword ptr [r12+{Thread.INSIDE}], 1
  test r14d, r14d
  jnz safepoint_leave
  cmp qword ptr [r12+{Thread.SIGNALS}], 0
  jne safepoint_again
  mov [r12+{Thread.TOP}], rbx
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
  xor eax, eax
  mov [rdi+{Thread.TRAP}+{Call.TRAP_PC - Call.TRAP}], rax
  mov [rdi+{Thread.TRAP}+{Call.TRAP_SIGNAL - Call.TRAP}], rax
  lea rcx, [rbp+{_RETURN + 8 + RED_ZONE}]
  mov [rdi+{Thread.TRAP}+{Call.TRAP_STACK - Call.TRAP}], rcx
  mov rcx, [rbp+{_PUSHED["r12"]}]
  mov [rdi+{Thread.TRAP}+{Call.TRAP_CONTEXT - Call.TRAP}], rcx
  jmp leave_by_trap

# void kick(signal, siginfo, ucontext): a signal that says that something is asked for. Wasm code goes on at `safepoint`;
# anything else looks by itself when it comes to wasm code; and the signal is sent again as long as nobody looked.
.globl kick
kick:
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
  cmp qword ptr [rax+{Thread.SIGNALS}], 0
  je kick_chain
  cmp dword ptr [rax+{Thread.INSIDE}], 0
  je kick_done
  lea rdx, [rip+blob_start+{DATA}]
  mov rcx, [r13+{_UC_RIP}]
  mov rax, rcx
  sub rax, [rdx+{Data.CODE_START}]
  cmp rax, [rdx+{Data.CODE_SIZE}]
  jae kick_done
  mov rax, [r13+{_UC_RSP}]
  sub rax, {RED_ZONE + 8}
  mov [rax], rcx
  mov [r13+{_UC_RSP}], rax
  lea rcx, [rip+safepoint]
  mov [r13+{_UC_RIP}], rcx
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
  push rbx
  lea rbx, [rip+blob_start+{DATA}]
  call [rbx+{Data.PYTHON_HANDLER}]
  mov rax, [rbx+{Data.MAIN_THREAD}]
  test rax, rax
  jz python_signal_done
  mov dword ptr [rax+{Thread.SIGNALS}], 1
  cmp dword ptr [rax+{Thread.INSIDE}], 0
  je python_signal_done
  # The main thread's id is the process's.
  mov edi, [rbx+{Data.PROCESS}]
  mov esi, edi
  mov edx, {KICK}
  mov eax, {_SYS_TGKILL}
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


ASSEMBLY: Final = f"""
.intel_syntax noprefix
.text
blob_start:
  .quad 0

# int enter(frame): call wasm code. The arguments lie in the frame, the record of the function in the call before it.
# 0: it returned; results are in the frame or in the call. 1: it trapped, the call says how. The GIL is held at both ends.
.globl enter
enter:
  push rbp
  push rbx
  push r12
  push r13
  push r14
  push r15
  sub rsp, {_ENTER_SIZE}
  mov r13, rdi
  lea rbx, [rip+blob_start+{DATA}]
  mov rdi, [rbx+{Data.THREAD_KEY}]
  call [rbx+{Data.GET_SPECIFIC}]
  mov r15, rax
  mov [rsp+{Activation.STACK}], rsp
  lea rax, [rip+enter_trapped]
  mov [rsp+{Activation.LANDING}], rax
  mov [rsp+{Activation.FRAME}], r13
  mov [rsp+{Activation.THREAD}], r15
  mov rax, [r15+{Thread.ACTIVATION}]
  mov [rsp+{Activation.PREVIOUS}], rax
  mov rax, [r15+{Thread.OWNED}]
  mov [rsp+{Activation.OWNED}], rax
  mov rax, [r15+{Thread.TOP}]
  mov [rsp+{Activation.TOP}], rax
  mov rax, [r15+{Thread.STATE}]
  mov [rsp+{Activation.STATE}], rax
  stmxcsr [rsp+{Activation.CONTROL}]
  mov rax, [r13+{Call.RECORD - Call.FRAME}]
  mov rcx, [rax+{Record.CONTEXT}]
  mov rdx, r15
  cmp [rcx+{Context.THREAD}], rdx
  je enter_taken
{_TAKE}
  jne enter_busy
enter_taken:
  mov r12, rcx
  call [rbx+{Data.SAVE_THREAD}]
  mov [r15+{Thread.STATE}], rax
  mov [r15+{Thread.ACTIVATION}], rsp
  ldmxcsr [rbx+{Data.CONTROL}]
  mov dword ptr [r15+{Thread.INSIDE}], 1
  cmp qword ptr [r15+{Thread.SIGNALS}], 0
  jne enter_requested
enter_on:
  mov r14, [r12+{Context.MEMORY}]
  mov rax, [r13+{Call.RECORD - Call.FRAME}]
  call [rax+{Record.CODE}]
.globl enter_returned
enter_returned:
  mov rcx, [rsp+{Activation.FRAME}]
  mov [rcx+{Call.RESULT - Call.FRAME}], rdi
  movups [rcx+{Call.RESULT_VECTOR - Call.FRAME}], xmm1
  xor ebx, ebx
  jmp enter_leave
enter_requested:
  sub rsp, {RED_ZONE}
  call safepoint
  jmp enter_on
enter_busy:
  mov qword ptr [r13+{Call.TRAP - Call.FRAME}], {layout.BUSY}
  mov qword ptr [r13+{Call.TRAP_PC - Call.FRAME}], 0
  mov [r13+{Call.TRAP_CONTEXT - Call.FRAME}], rcx
  mov qword ptr [r13+{Call.STACK_COPIED - Call.FRAME}], 0
  mov eax, 1
  jmp enter_done
enter_trapped:
  mov ebx, 1
enter_leave:
  mov r15, [rsp+{Activation.THREAD}]
  mov dword ptr [r15+{Thread.INSIDE}], 0
  ldmxcsr [rsp+{Activation.CONTROL}]
  mov rax, [rsp+{Activation.PREVIOUS}]
  mov [r15+{Thread.ACTIVATION}], rax
  # Give back what was taken since.
  mov rdx, [rsp+{Activation.OWNED}]
  mov rax, [r15+{Thread.OWNED}]
enter_release:
  cmp rax, rdx
  je enter_released
  mov rcx, [rax+{Context.NEXT}]
  mov qword ptr [rax+{Context.THREAD}], 0
  mov rax, rcx
  jmp enter_release
enter_released:
  mov [r15+{Thread.OWNED}], rdx
  mov rax, [rsp+{Activation.TOP}]
  mov [r15+{Thread.TOP}], rax
  mov rdi, [r15+{Thread.STATE}]
  mov rax, [rsp+{Activation.STATE}]
  mov [r15+{Thread.STATE}], rax
  lea rax, [rip+blob_start+{DATA}]
  call [rax+{Data.RESTORE_THREAD}]
  mov eax, ebx
enter_done:
  add rsp, {_ENTER_SIZE}
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  pop rbp
  ret

# Explicit traps: wasm code *calls* this with the trap's number in eax, so the return address is the place.
.globl trap
trap:
trap_here:
  mov rdi, [r12+{Context.THREAD}]
  pop rcx
  mov [rdi+{Thread.TRAP}+{Call.TRAP_PC - Call.TRAP}], rcx
  mov [rdi+{Thread.TRAP}], rax
  mov qword ptr [rdi+{Thread.TRAP}+{Call.TRAP_SIGNAL - Call.TRAP}], 0
  mov [rdi+{Thread.TRAP}+{Call.TRAP_STACK - Call.TRAP}], rsp
  mov [rdi+{Thread.TRAP}+{Call.TRAP_CONTEXT - Call.TRAP}], r12
# rdi: the thread. Note the trap where the frame of the call was, with a copy of the native stack for the wasm call stack,
# then go on in `enter`.
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
  sub rcx, rsi
  xor eax, eax
  cmovb rcx, rax
  mov eax, {Call.STACK_COPY_SIZE}
  cmp rcx, rax
  cmova rcx, rax
  mov [rdi], rcx
  add rdi, {Call.STACK_COPY - Call.STACK_COPIED}
  rep movsb
  mov rsp, [rbx+{Activation.STACK}]
  jmp [rbx+{Activation.LANDING}]

# Call of Python from wasm code: eax is the number of the service, its operands lie in the value stack.
.globl call_host
call_host:
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
{_TAKE}
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
{_TAKE}
  pop rax
  je tail_other_taken
  jmp other_busy

{_bulk(32)}
{_bulk(64)}

# void fault(signal, siginfo, ucontext): SIGSEGV, SIGBUS and SIGFPE.
.globl fault
fault:
  push rbx
  push r12
  push r13
  push r14
  push r15
  mov ebx, edi
  mov r12, rsi
  mov r13, rdx
  lea r15, [rip+blob_start+{DATA}]
  cmp dword ptr [r12+{_SI_CODE}], 0
  jle fault_chain
  mov rax, [r13+{_UC_RIP}]
  sub rax, [r15+{Data.CODE_START}]
  cmp rax, [r15+{Data.CODE_SIZE}]
  jae fault_chain
  mov rdi, [r15+{Data.THREAD_KEY}]
  call [r15+{Data.GET_SPECIFIC}]
  test rax, rax
  jz fault_chain
  cmp qword ptr [rax+{Thread.ACTIVATION}], 0
  je fault_chain
  mov rcx, [r13+{_UC_RIP}]
  mov [rax+{Thread.TRAP}+{Call.TRAP_PC - Call.TRAP}], rcx
  mov rcx, [r12+{_SI_ADDR}]
  mov [rax+{Thread.TRAP}+{Call.TRAP_ADDRESS - Call.TRAP}], rcx
  mov [rax+{Thread.TRAP}+{Call.TRAP_SIGNAL - Call.TRAP}], rbx
  mov qword ptr [rax+{Thread.TRAP}], {layout.FAULT}
  mov rcx, [r13+{_UC_RSP}]
  mov [rax+{Thread.TRAP}+{Call.TRAP_STACK - Call.TRAP}], rcx
  mov rcx, [r13+{_UC_R12}]
  mov [rax+{Thread.TRAP}+{Call.TRAP_CONTEXT - Call.TRAP}], rcx
  mov [r13+{_UC_RDI}], rax
  lea rcx, [rip+leave_by_trap]
  mov [r13+{_UC_RIP}], rcx
  jmp fault_done
fault_chain:
  # Not ours: the handler that was there before; but the default action if that came back to us, because it remembers our
  # handler as the one before its own. Then this thread is calling it already, from further up its stack.
  mov rax, [r15+{Data.PREVIOUS}+rbx*8]
  cmp rax, 1
  jbe fault_default
  mov eax, {_SYS_GETTID}
  syscall
  mov ecx, eax
  and ecx, {Data.CHAINS - 1}
  shl ecx, 4
  lea r14, [r15+rcx+{Data.CHAINING}]
  cmp [r14], rax
  jne fault_call
  cmp rsp, [r14+8]
  jb fault_default
fault_call:
  mov [r14], rax
  mov [r14+8], rsp
  mov edi, ebx
  mov rsi, r12
  mov rdx, r13
  call [r15+{Data.PREVIOUS}+rbx*8]
  mov qword ptr [r14], 0
  jmp fault_done
fault_default:
  # Back to SIG_DFL by the raw system call (struct kernel_sigaction: handler, flags, restorer, mask): the instruction
  # faults again and the core dump has the true place. A signal that was sent is sent again.
  sub rsp, 48
  mov qword ptr [rsp], 0
  mov qword ptr [rsp+8], 0
  mov qword ptr [rsp+16], 0
  mov qword ptr [rsp+24], 0
  mov edi, ebx
  mov rsi, rsp
  xor edx, edx
  mov r10d, 8
  mov eax, {_SYS_RT_SIGACTION}
  syscall
  add rsp, 48
  cmp dword ptr [r12+{_SI_CODE}], 0
  jg fault_done
  mov eax, {_SYS_GETTID}
  syscall
  mov esi, eax
  mov edi, [r15+{Data.PROCESS}]
  mov edx, ebx
  mov eax, {_SYS_TGKILL}
  syscall
fault_done:
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  ret
{_INTERRUPTS}
.globl blob_end
blob_end:
"""

SYMBOLS: Final = (
    "enter",
    "enter_returned",
    "trap",
    "call_host",
    "call_record",
    "jump_record",
    "other_return",
    "host_function",
    "host_returned",
    "service_returned",
    "compile_function",
    "compile_returned",
    "fill32",
    "fill64",
    "copy32",
    "copy64",
    "fault",
    "kick",
    "python_signal",
    "measure_processor",
    "blob_end",
)
"""What the blob offers."""

SOURCE: Final = "source"
"""With the symbols a blob stores the number of the source that it was made from."""


def source_number() -> int:
    """The number of `ASSEMBLY`: a blob made from another text has other structures."""
    return zlib.crc32(ASSEMBLY.encode())
