"""The ticker: a thread that looks every few milliseconds at the threads that run wasm code, without Python.

It has calls that last release the GIL, sends signals again that were not noticed, and sees to it that Python's signal
handlers run. It is started by the safepoint and ends by itself; `start_ticker` and `hook_signals` are the safepoint's, too.
"""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.amd64.linux import DATA, SYS_TGKILL
from wasmine.compiler.machine.layout import KICK, LINGER, LOOK_AGAIN, TICK, Data, Thread
from wasmine.compiler.machine.linux import (
    SA_FLAGS,
    SA_MASK,
    SA_ONSTACK,
    SA_RESTART,
    SA_SIGINFO,
    SIG_SETMASK,
    SIGSET_SIZE,
)

_ACTION: Final = 160  # room for a struct sigaction

TICKER: Final = f"""\
# int start_ticker(), r15 being the data page: 0 if it runs now. It sees to signal handlers that are set later; those that
# are there are seen to here.
start_ticker:
  mov eax, 1
  xchg [r15+{Data.TICKER}], eax
  xor eax, 1
  jz start_ticker_done
  sub rsp, 24
  mov rdi, rsp
  mov rsi, [r15+{Data.TICKER_ATTRIBUTES}]
  lea rdx, [rip+ticker]
  xor ecx, ecx
  call [r15+{Data.CREATE_THREAD}]
  add rsp, 24
  test eax, eax
  jz start_ticker_hook
  mov dword ptr [r15+{Data.TICKER}], 0
  mov eax, 1
start_ticker_done:
  ret
start_ticker_hook:
  mov edi, 1
  call hook_signals
  xor eax, eax
  ret

# int hook_signals(install), r15 being the data page: whether a signal has CPython's handler without `python_signal` in
# front of it; which is put there if `install` is not 0.
hook_signals:
  push rbx
  push r12
  push r13
  sub rsp, {_ACTION}
  mov r12d, edi
  xor r13d, r13d
  cmp qword ptr [r15+{Data.PYTHON_HANDLER}], 0
  je hook_done
  mov ebx, 1
hook_look:
  mov edi, ebx
  xor esi, esi
  mov rdx, rsp
  call [r15+{Data.SIGNAL_ACTION}]
  test eax, eax
  jnz hook_next
  mov rax, [rsp]
  cmp rax, [r15+{Data.PYTHON_HANDLER}]
  jne hook_next
  cmp ebx, {KICK}
  je hook_next
  mov r13d, 1
  test r12d, r12d
  jz hook_done
  lea rax, [rip+python_signal_here]
  mov [rsp], rax
  or dword ptr [rsp+{SA_FLAGS}], {SA_SIGINFO | SA_ONSTACK}
  # `python_signal` sends a kick, which is to find the wasm code that was interrupted, not `python_signal`.
  or dword ptr [rsp+{SA_MASK}], {1 << KICK - 1}
  mov edi, ebx
  mov rsi, rsp
  xor edx, edx
  call [r15+{Data.SIGNAL_ACTION}]
hook_next:
  inc ebx
  cmp ebx, 64
  jbe hook_look
hook_done:
  mov eax, r13d
  add rsp, {_ACTION}
  pop r13
  pop r12
  pop rbx
  ret

# void install_kick(), r15 being the data page: make `kick` the handler of its signal, if it is not.
install_kick:
  sub rsp, {2 * _ACTION + 8}
  mov edi, {KICK}
  xor esi, esi
  mov rdx, rsp
  call [r15+{Data.SIGNAL_ACTION}]
  lea rax, [rip+kick_here]
  cmp [rsp], rax
  je install_kick_done
  mov [rsp], rax
  mov dword ptr [rsp+{SA_FLAGS}], {SA_SIGINFO | SA_ONSTACK | SA_RESTART}
  mov edi, {KICK}
  mov rsi, rsp
  lea rdx, [rsp+{_ACTION}]
  call [r15+{Data.SIGNAL_ACTION}]
  mov rax, [rsp+{_ACTION}]
  mov [r15+{Data.PREVIOUS + 8 * KICK}], rax
install_kick_done:
  add rsp, {2 * _ACTION + 8}
  ret

# void* ticker(void*): the thread. r14d: how many ticks remain until it ends; r13d: whether a thread is in wasm code.
ticker:
  push rbx
  push r12
  push r13
  push r14
  push r15
  lea r15, [rip+blob_start+{DATA}]
  sub rsp, {SIGSET_SIZE}
  mov rdi, rsp
  mov ecx, {SIGSET_SIZE // 8}
  mov rax, -1
  rep stosq
  mov edi, {SIG_SETMASK}
  mov rsi, rsp
  xor edx, edx
  call [r15+{Data.SIGNAL_MASK}]
  add rsp, {SIGSET_SIZE}
ticker_busy:
  mov r14d, {LINGER}
ticker_tick:
  mov edi, {TICK}
  call [r15+{Data.SLEEP}]
  xor r13d, r13d
  mov r12, [r15+{Data.BLOCKS}]
ticker_block:
  test r12, r12
  jz ticker_looked
  cmp dword ptr [r12+{Thread.TASK}], 0
  je ticker_outside
  cmp qword ptr [r12+{Thread.ACTIVATION}], 0
  je ticker_outside
  cmp dword ptr [r12+{Thread.INSIDE}], 0
  je ticker_held
  mov r13d, 1
  cmp r12, [r15+{Data.MAIN_THREAD}]
  jne ticker_held
  # A signal may have come before the handler: so it is to look, too.
  xor edi, edi
  call hook_signals
  test eax, eax
  jnz ticker_hook
  inc dword ptr [r12+{Thread.UNLOOKED}]
  cmp dword ptr [r12+{Thread.UNLOOKED}], {LOOK_AGAIN}
  jb ticker_held
  mov dword ptr [r12+{Thread.UNLOOKED}], 0
  lock or dword ptr [r12+{Thread.SIGNALS}], {layout.LOOK}
  jmp ticker_held
ticker_hook:
  lock or dword ptr [r12+{Thread.SIGNALS}], {layout.HOOK | layout.LOOK}
ticker_held:
  # Who has kept the GIL since the last tick is to release it; even if Python runs just now, as soon as wasm does. Not at
  # every tick: others have to wait in vain for 5 ms before CPython sees to it that they get the GIL.
  cmp qword ptr [r12+{Thread.STATE}], 0
  jne ticker_outside
  mov eax, 1
  xchg [r12+{Thread.TICKED}], eax
  test eax, eax
  jz ticker_told
  lock or dword ptr [r12+{Thread.SIGNALS}], {layout.RELEASE}
ticker_outside:
  mov dword ptr [r12+{Thread.TICKED}], 0
ticker_told:
  mov rax, [r12+{Thread.SIGNALS}]
  and rax, {~layout.START_TICKER}
  jz ticker_next
  cmp dword ptr [r12+{Thread.INSIDE}], 0
  je ticker_next
  call install_kick
  mov edi, [r15+{Data.PROCESS}]
  mov esi, [r12+{Thread.TASK}]
  mov edx, {KICK}
  mov eax, {SYS_TGKILL}
  syscall
ticker_next:
  mov r12, [r12+{Thread.NEXT}]
  jmp ticker_block
ticker_looked:
  test r13d, r13d
  jnz ticker_busy
  dec r14d
  jnz ticker_tick
  # Nobody has been in wasm code for long. First say that there is no ticker, then have everybody start one. Who came to
  # wasm code before it was told is there at the next tick, or comes again and is told.
  mov dword ptr [r15+{Data.TICKER}], 0
  mov r12, [r15+{Data.BLOCKS}]
ticker_tell:
  test r12, r12
  jz ticker_told_all
  lock or dword ptr [r12+{Thread.SIGNALS}], {layout.START_TICKER}
  mov r12, [r12+{Thread.NEXT}]
  jmp ticker_tell
ticker_told_all:
  mov edi, {TICK}
  call [r15+{Data.SLEEP}]
  mov r12, [r15+{Data.BLOCKS}]
ticker_still:
  test r12, r12
  jz ticker_end
  cmp dword ptr [r12+{Thread.INSIDE}], 0
  jne ticker_needed
  mov r12, [r12+{Thread.NEXT}]
  jmp ticker_still
ticker_needed:
  mov eax, 1
  xchg [r15+{Data.TICKER}], eax
  test eax, eax
  jz ticker_busy
ticker_end:
  xor eax, eax
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  ret
"""
