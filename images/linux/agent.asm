; agent: runs commands in the guest for `hvkit exec`. It owns the second serial port (or the device that is its argument; "-" is standard
; input and output); frames come and go there as protocol/agent.ts has them. In its flow:
;
;   line -> receive -> frame -> take -> a session: Command, Run, Input, Signal ...
;   poll -> pump: a command's output to the line, its input from the session's buffer
;   SIGCHLD -> reap -> what its pipes still have -> End
;
; 1. One process, one loop, one poll. Only writing to the line waits: its other end always reads.
; 2. A command runs in a process group (and session) of its own, with pipes for its three streams.
; 3. vfork: the child shares this memory until it is another program, so that its error reaches us in SPAWN_ERROR.
; It does NOT: give a command a terminal, look at PATH (it looks in FOLDERS), or wait for what a command left in the background.
;
; Its files, agent/NAME.asm: watch, streams, end, receive, take, cloned, run, child, send, crc32c, memory. Each says where it stands.
;
; Registers: rbx the session; r12 and r13 are the loop's and receive's; r14 and r15 of whoever pumps or starts a command. A routine keeps
; those that are not its own, and no other. Its standard streams are open: a pipe's ends come after them.

%define IMAGE_MEMORY_END memory_end
%include "elf64.inc"
%include "agent.inc"
%include "linux.inc"
%include "session.inc"

start:
  mov rdi, DEVICE
  cmp qword [rsp], 2                      ; argc
  jb .open
  mov rdi, [rsp + 16]
  cmp word [rdi], "-"
  je .standard
.open:
  mov esi, O_RDWR | O_NOCTTY | O_CLOEXEC
  mov eax, SYS_OPEN
  syscall
  test eax, eax
  js leave
  mov [lineIn], eax
  mov [lineOut], eax
  mov edi, eax
  mov esi, TCSETS
  mov edx, TERMIOS
  mov eax, SYS_IOCTL
  syscall
  jmp .signals
.standard:
  mov dword [lineIn], 0
  mov dword [lineOut], 1
.signals:
  xor edi, edi                            ; SIG_BLOCK
  mov esi, BLOCKED
  xor edx, edx
  mov r10d, 8
  mov eax, SYS_RT_SIGPROCMASK
  syscall
  mov edi, -1
  mov esi, CHILD_SIGNAL
  mov edx, 8
  mov r10d, O_CLOEXEC | O_NONBLOCK        ; SFD_...: the same bits
  mov eax, SYS_SIGNALFD4
  syscall
  test eax, eax
  js leave
  mov [signals], eax
  xor r8d, r8d                            ; of no session: whoever waited for one knows now that it is gone
  call sendReady

; ---- the loop

turn:
  call watch
  mov edi, polls
  mov esi, 2 + 3 * AgentLimit_Sessions
  mov edx, eax
  mov eax, SYS_POLL
  syscall
  cmp rax, -EINTR
  je turn
  test rax, rax
  js leave
  mov edi, CLOCK_MONOTONIC
  mov esi, clock
  mov eax, SYS_CLOCK_GETTIME
  syscall
  test word [polls + PollFd_size + PollFd.revents], POLLIN
  jz .line
  call reap
.line:
  cmp word [polls + PollFd.revents], 0
  je .sessions
  call receive
.sessions:
  mov ebx, sessions
  mov r12d, polls + 2 * PollFd_size
.session:
  cmp qword [rbx + Session.id], 0
  je .next
  call pump
.next:
  add rbx, Session_size
  add r12, 3 * PollFd_size
  cmp rbx, sessions + AgentLimit_Sessions * Session_size
  jb .session
  jmp turn

; The line is gone, or there is none: so do all commands go.
leave:
  mov ebx, sessions
.session:
  cmp dword [rbx + Session.pid], 0
  je .next
  mov esi, SIGKILL
  call signalGroup
.next:
  add rbx, Session_size
  cmp rbx, sessions + AgentLimit_Sessions * Session_size
  jb .session
  mov edi, 1
  mov eax, SYS_EXIT
  syscall

%include "watch.asm"
%include "streams.asm"
%include "end.asm"
%include "receive.asm"
%include "take.asm"
%include "cloned.asm"
%include "run.asm"
%include "child.asm"
%include "send.asm"
%include "crc32c.asm"
%include "memory.asm"
