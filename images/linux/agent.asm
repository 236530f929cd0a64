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
; Registers: rbx the session; r12 and r13 are the loop's and receive's; r14 and r15 of whoever pumps or starts a command. A routine keeps
; those that are not its own, and no other. Its standard streams are open: a pipe's ends come after them.

%define IMAGE_MEMORY_END memory_end
%include "elf64.inc"
%include "agent.inc"

; Linux, asm/unistd_64.h and what it takes
%define SYS_READ 0
%define SYS_OPEN 2
%define SYS_CLOSE 3
%define SYS_POLL 7
%define SYS_RT_SIGACTION 13
%define SYS_RT_SIGPROCMASK 14
%define SYS_IOCTL 16
%define SYS_DUP2 33
%define SYS_VFORK 58
%define SYS_EXECVE 59
%define SYS_WAIT4 61
%define SYS_KILL 62
%define SYS_FCNTL 72
%define SYS_CHDIR 80
%define SYS_SETSID 112
%define SYS_CLOCK_GETTIME 228
%define SYS_SIGNALFD4 289
%define SYS_PIPE2 293

%define O_RDWR 0x2
%define O_NOCTTY 0x100
%define O_NONBLOCK 0x800
%define O_CLOEXEC 0x80000
%define F_SETFL 4
%define TCSETS 0x5402
%define CLOCK_MONOTONIC 1
%define WNOHANG 1
%define POLLIN 1
%define POLLOUT 4
%define SIGKILL 9
%define SIGPIPE 13
%define SIGCHLD 17
%define SIGNALS 64
%define ENOENT 2
%define EINTR 4
%define E2BIG 7
%define EAGAIN 11
%define EACCES 13
%define ENOTDIR 20
%define EINVAL 22
%define ENAMETOOLONG 36
; termios: 115200 baud, 8 bits, receiver on, no modem, RTS and CTS (the machine's UART holds input back by RTS: nothing overruns)
%define LINE_MODE 0x80001000 | 0x0002 | 0x0030 | 0x0080 | 0x0800

%define NONE -1
%define NEVER -1
%define LOOK_MS 5000                       ; between two looks for commands that nobody waits for
%define CHUNK AgentLimit_MaxPayload
%define FRAME_BYTES (AgentLimit_HeaderBytes + AgentLimit_MaxPayload + AgentLimit_CrcBytes)
%define LINE_BYTES (FRAME_BYTES + FRAME_BYTES / 254 + 4)
%define NAME_BYTES 255

struc Session
  .id: resq 1                             ; 0: free
  .heard: resq 1                          ; seconds
  .seqIn: resd 1
  .seqOut: resd 1
  .pid: resd 1                            ; 0: not started
  .in: resd 1                             ; our ends of its pipes, NONE when closed
  .out: resd 1
  .err: resd 1
  .outRoom: resd 1
  .inputCount: resd 1
  .inputEnded: resd 1
  .exited: resd 1                         ; 1: reaped; 2: and its pipes were looked at since
  .status: resd 1                         ; as wait4 gives it
  .blockCount: resd 1
  .block: resb AgentLimit_CommandBytes
  .input: resb AgentLimit_InputWindow
  alignb 8
endstruc

struc PollFd
  .fd: resd 1
  .events: resw 1
  .revents: resw 1
endstruc

; ---- start ------------------------------------------------------------------------------------------------------------------

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

; ---- the loop ---------------------------------------------------------------------------------------------------------------

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

; Fills `polls` with all that is waited for. Out: eax milliseconds to wait.
watch:
  mov eax, [lineIn]
  mov [polls + PollFd.fd], eax
  mov dword [polls + PollFd.events], POLLIN
  mov eax, [signals]
  mov [polls + PollFd_size + PollFd.fd], eax
  mov dword [polls + PollFd_size + PollFd.events], POLLIN
  mov eax, NEVER
  mov ebx, sessions
  mov edi, polls + 2 * PollFd_size
.session:
  mov dword [rdi + PollFd.fd], NONE
  mov dword [rdi + PollFd.events], POLLOUT
  mov dword [rdi + PollFd_size + PollFd.fd], NONE
  mov dword [rdi + PollFd_size + PollFd.events], POLLIN
  mov dword [rdi + 2 * PollFd_size + PollFd.fd], NONE
  mov dword [rdi + 2 * PollFd_size + PollFd.events], POLLIN
  cmp qword [rbx + Session.id], 0
  je .next
  test eax, eax
  jz .input
  mov eax, LOOK_MS
.input:
  cmp dword [rbx + Session.inputCount], 0
  je .output
  mov ecx, [rbx + Session.in]
  mov [rdi + PollFd.fd], ecx
.output:
  cmp dword [rbx + Session.outRoom], 0
  jle .next
  mov ecx, [rbx + Session.out]
  mov [rdi + PollFd_size + PollFd.fd], ecx
  mov ecx, [rbx + Session.err]
  mov [rdi + 2 * PollFd_size + PollFd.fd], ecx
  cmp dword [rbx + Session.exited], 0
  je .next
  mov dword [rbx + Session.exited], 2     ; what poll finds in its pipes is all that comes: do not wait
  xor eax, eax
.next:
  add rbx, Session_size
  add rdi, 3 * PollFd_size
  cmp rbx, sessions + AgentLimit_Sessions * Session_size
  jb .session
  ret

; Children that ended.
reap:
  mov edi, [signals]
  mov esi, chunk
  mov edx, CHUNK
  xor eax, eax                            ; SYS_READ: several signals may be one
  syscall
.next:
  mov edi, -1
  mov esi, waited
  mov edx, WNOHANG
  xor r10d, r10d
  mov eax, SYS_WAIT4
  syscall
  test eax, eax
  jle .done
  mov ebx, sessions
.look:
  cmp qword [rbx + Session.id], 0
  je .other
  cmp [rbx + Session.pid], eax
  je .found
.other:
  add rbx, Session_size
  cmp rbx, sessions + AgentLimit_Sessions * Session_size
  jb .look
  jmp .next                               ; of a session that was given up
.found:
  mov ecx, [waited]
  mov [rbx + Session.status], ecx
  mov dword [rbx + Session.exited], 1
  jmp .next
.done:
  ret

; ---- a command's streams ----------------------------------------------------------------------------------------------------

; In: rbx a session, r12 its three places in `polls`.
pump:
  mov rax, [clock]
  sub rax, [rbx + Session.heard]
  cmp rax, AgentLimit_SilenceSeconds
  ja abandon
  cmp word [r12 + PollFd.revents], 0
  je .output
  call feed
.output:
  lea r13, [rbx + Session.out]
  lea r14, [r12 + PollFd_size]
  mov r15d, AgentFrame_Output
  call drain
  lea r13, [rbx + Session.err]
  lea r14, [r12 + 2 * PollFd_size]
  mov r15d, AgentFrame_ErrorOutput
  call drain
  cmp dword [rbx + Session.exited], 0
  je .done
  mov eax, [rbx + Session.out]
  and eax, [rbx + Session.err]
  cmp eax, NONE
  jne .done
  mov ecx, [rbx + Session.status]         ; WIFEXITED, WEXITSTATUS, WTERMSIG
  mov eax, AgentEnd_Exited
  movzx edx, ch
  and ecx, 0x7F
  jz .end
  mov eax, AgentEnd_Signalled
  mov edx, ecx
.end:
  jmp finish
.done:
  ret

; One piece of one of its outputs to the line. In: r13 the place of the pipe's descriptor, r14 its place in `polls`, r15 the frame's type.
drain:
  cmp dword [r14 + PollFd.fd], NONE
  je .done                                ; closed, or no room for what it says
  cmp word [r14 + PollFd.revents], 0
  jne .read
  cmp dword [rbx + Session.exited], 2
  jne .done
  jmp .close                              ; it has ended, and nothing is left
.read:
  mov edx, CHUNK
  cmp [rbx + Session.outRoom], edx
  cmovl edx, [rbx + Session.outRoom]
  test edx, edx
  jle .done                               ; the other stream took the room
  mov edi, [r13]
  mov esi, chunk
  xor eax, eax                            ; SYS_READ
  syscall
  cmp rax, -EAGAIN
  je .done
  cmp rax, -EINTR
  je .done
  test rax, rax
  jle .close
  sub [rbx + Session.outRoom], eax
  mov ecx, eax
  mov esi, chunk
  mov eax, r15d
  jmp send
.close:
  mov rdi, r13
  jmp close
.done:
  ret

; Gives the command of its input what its pipe takes.
feed:
  cmp dword [rbx + Session.inputCount], 0
  je .done                                ; what poll said was of the session before this one
  mov edi, [rbx + Session.in]
  lea rsi, [rbx + Session.input]
  mov edx, [rbx + Session.inputCount]
  mov eax, SYS_WRITE
  syscall
  cmp rax, -EAGAIN
  je .done
  cmp rax, -EINTR
  je .done
  test rax, rax
  jg .took
  lea rdi, [rbx + Session.in]             ; it reads no more: what comes is for nobody
  call close
  mov eax, [rbx + Session.inputCount]
.took:
  mov ecx, [rbx + Session.inputCount]
  sub ecx, eax
  mov [rbx + Session.inputCount], ecx
  lea rdi, [rbx + Session.input]
  lea rsi, [rdi + rax]
  rep movsb
  call giveRoom
  cmp dword [rbx + Session.inputEnded], 0
  je .done
  cmp dword [rbx + Session.inputCount], 0
  jne .done
  lea rdi, [rbx + Session.in]
  jmp close
.done:
  ret

; In: eax bytes of input that were taken.
giveRoom:
  mov [word0], eax
  mov esi, word0
  mov ecx, 4
  mov eax, AgentFrame_InputRoom
  jmp send

; Nobody asked for the command for long.
abandon:
  mov esi, SIGKILL
  call signalGroup
  jmp free

; The session is over. In: eax AgentEnd, edx its value.
finish:
  mov [word0], eax
  mov [word1], edx
  mov esi, word0
  mov ecx, 8
  mov eax, AgentFrame_End
  call send
free:
  lea rdi, [rbx + Session.in]
  call close
  lea rdi, [rbx + Session.out]
  call close
  lea rdi, [rbx + Session.err]
  call close
  mov qword [rbx + Session.id], 0
  mov dword [rbx + Session.pid], 0
  ret

; In: rdi the place of a descriptor.
close:
  push rdi
  mov edi, [rdi]
  test edi, edi
  js .none
  mov eax, SYS_CLOSE
  syscall
.none:
  pop rdi
  mov dword [rdi], NONE
  ret

; In: esi a signal for the command's process group.
signalGroup:
  mov edi, [rbx + Session.pid]
  test edi, edi
  jz .none
  neg edi
  movsxd rdi, edi
  mov eax, SYS_KILL
  syscall
.none:
  ret

; ---- frames in --------------------------------------------------------------------------------------------------------------

; What the line has: bytes between 00h bytes are a frame.
receive:
  mov edi, [lineIn]
  mov esi, arrived
  mov edx, CHUNK
  xor eax, eax                            ; SYS_READ
  syscall
  cmp rax, -EINTR
  je .none
  test rax, rax
  jle leave
  mov r12d, arrived
  lea r13, [r12 + rax]
.byte:
  mov al, [r12]
  inc r12
  test al, al
  jz .frame
  mov ecx, [lineCount]
  cmp ecx, LINE_BYTES                     ; longer than any frame: its CRC-32C will be wrong
  jae .next
  mov [line + rcx], al
  inc dword [lineCount]
  jmp .next
.frame:
  call frame
  mov dword [lineCount], 0
.next:
  cmp r12, r13
  jb .byte
.none:
  ret

; One frame, out of `line` into `taken`, if it is whole.
frame:
  mov esi, line
  mov r10d, [lineCount]
  add r10, rsi
  mov edi, taken
.group:
  cmp rsi, r10
  jae .decoded
  movzx r9d, byte [rsi]                   ; COBS: never 0 here
  inc rsi
  lea ecx, [r9 - 1]
  lea rdx, [rsi + rcx]
  cmp rdx, r10
  ja .bad
  rep movsb
  cmp r9d, 255
  je .group
  cmp rsi, r10
  je .decoded
  mov byte [rdi], 0
  inc rdi
  jmp .group
.decoded:
  sub edi, taken
  sub edi, AgentLimit_HeaderBytes + AgentLimit_CrcBytes
  js .bad
  cmp edi, AgentLimit_MaxPayload
  ja .bad
  mov [payloadBytes], edi
  lea ecx, [rdi + AgentLimit_HeaderBytes]
  mov esi, taken
  call crc32c
  cmp eax, [rsi]
  je take
.bad:
  ret

; A frame that is whole: to whom, and is it that one's turn?
take:
  mov r8, [taken]
  mov ecx, [taken + 8]
  movzx eax, byte [taken + 12]
  cmp eax, AgentFrame_Hello
  je sendReady
  test r8, r8
  jz .none
  mov ebx, sessions
.look:
  cmp [rbx + Session.id], r8
  je .found
  add rbx, Session_size
  cmp rbx, sessions + AgentLimit_Sessions * Session_size
  jb .look
  cmp eax, AgentFrame_Command
  jne .unknown
  test ecx, ecx
  jnz .unknown
  mov ebx, sessions
.unused:
  cmp qword [rbx + Session.id], 0
  je .make
  add rbx, Session_size
  cmp rbx, sessions + AgentLimit_Sessions * Session_size
  jb .unused
  mov eax, AgentEnd_Busy
  jmp sendEnd
.unknown:
  mov eax, AgentEnd_Lost
  jmp sendEnd
.make:
  lea rdi, [rbx + Session.heard]
  mov ecx, Session.block - Session.heard
  mov edx, eax
  xor eax, eax
  rep stosb
  mov eax, edx
  mov [rbx + Session.id], r8
  mov dword [rbx + Session.in], NONE
  mov dword [rbx + Session.out], NONE
  mov dword [rbx + Session.err], NONE
  mov dword [rbx + Session.outRoom], AgentLimit_OutputWindow
  xor ecx, ecx
.found:
  mov rdx, [clock]
  mov [rbx + Session.heard], rdx
  cmp eax, AgentFrame_Alive               ; not counted
  je .none
  cmp ecx, [rbx + Session.seqIn]
  jne .lost
  inc dword [rbx + Session.seqIn]
  mov ecx, [payloadBytes]
  mov esi, taken + AgentLimit_HeaderBytes
  cmp eax, AgentFrame_Command
  je takeCommand
  cmp eax, AgentFrame_Run
  je run
  cmp eax, AgentFrame_Input
  je takeInput
  cmp eax, AgentFrame_InputEnd
  je takeInputEnd
  cmp eax, AgentFrame_OutputRoom
  je takeOutputRoom
  cmp eax, AgentFrame_Signal
  je takeSignal
.none:
  ret
.lost:
  mov esi, SIGKILL
  call signalGroup
  mov eax, AgentEnd_Lost
  xor edx, edx
  jmp finish

; For each of these: rbx the session, rsi the payload, ecx its bytes.
takeCommand:
  mov edi, [rbx + Session.blockCount]
  lea eax, [rdi + rcx]
  cmp eax, AgentLimit_CommandBytes
  ja tooLong
  mov [rbx + Session.blockCount], eax
  lea rdi, [rbx + rdi + Session.block]
  rep movsb
  ret

takeInput:
  mov edi, [rbx + Session.inputCount]
  mov eax, ecx
  cmp dword [rbx + Session.in], NONE
  je giveRoom
  lea edx, [rdi + rcx]
  cmp edx, AgentLimit_InputWindow
  ja take.lost
  mov [rbx + Session.inputCount], edx
  lea rdi, [rbx + rdi + Session.input]
  rep movsb
  ret

takeInputEnd:
  mov dword [rbx + Session.inputEnded], 1
  cmp dword [rbx + Session.inputCount], 0
  jne .later
  lea rdi, [rbx + Session.in]
  jmp close
.later:
  ret

takeOutputRoom:
  mov eax, [rsi]
  add [rbx + Session.outRoom], eax
  ret

takeSignal:
  cmp dword [rbx + Session.exited], 0     ; its number may be another's by now
  jne .none
  movzx esi, byte [rsi]
  jmp signalGroup
.none:
  ret

; ---- a command's start ------------------------------------------------------------------------------------------------------

tooLong:
  mov edx, E2BIG
notStarted:                               ; edx: why
  mov eax, AgentEnd_NotStarted
  jmp finish

run:
  cmp dword [rbx + Session.pid], 0
  jne take.lost
  call readCommand
  test edx, edx
  jnz notStarted
  mov rax, pipes                          ; what is not opened yet is nothing to close
  mov ecx, 6
.none:
  mov dword [rax + 4 * rcx - 4], NONE
  loop .none
  mov r14d, pipes
.pipe:
  mov rdi, r14
  mov esi, O_CLOEXEC
  mov eax, SYS_PIPE2
  syscall
  mov edx, eax
  neg edx
  test eax, eax
  js .failed
  add r14, 8
  cmp r14, pipes + 24
  jb .pipe
  mov eax, [pipes + 4]                    ; our end for writing to it, and those for reading
  mov ecx, [pipes + 8]
  mov edx, [pipes + 16]
  mov [rbx + Session.in], eax
  mov [rbx + Session.out], ecx
  mov [rbx + Session.err], edx
  mov edi, eax
  call doNotWait
  mov edi, [rbx + Session.out]
  call doNotWait
  mov edi, [rbx + Session.err]
  call doNotWait
  mov dword [SPAWN_ERROR], 0
  mov eax, SYS_VFORK
  syscall
  test eax, eax
  jz child
  mov r15d, eax
  call closeTheirs
  mov edx, r15d
  neg edx
  test r15d, r15d
  js notStarted
  mov edx, [SPAWN_ERROR]
  test edx, edx
  jnz notStarted
  mov [rbx + Session.pid], r15d
  mov [word0], r15d
  mov esi, word0
  mov ecx, 4
  mov eax, AgentFrame_Started
  jmp send
.failed:
  mov r15d, edx
  mov r14d, pipes
.close:
  mov rdi, r14
  call close
  add r14, 4
  cmp r14, pipes + 24
  jb .close
  mov edx, r15d
  jmp notStarted

; The pipes' ends that are the command's.
closeTheirs:
  mov edi, pipes
  call close
  mov edi, pipes + 12
  call close
  mov edi, pipes + 20
  jmp close

; In: edi a descriptor.
doNotWait:
  mov esi, F_SETFL
  mov edx, O_NONBLOCK
  mov eax, SYS_FCNTL
  syscall
  ret

; Lists the block's strings in `arguments` and `environment`. Out: edx 0, or an error number.
readCommand:
  mov ecx, [rbx + Session.blockCount]
  mov edx, EINVAL
  test ecx, ecx
  jz .done
  lea rsi, [rbx + Session.block]
  lea r10, [rsi + rcx]
  cmp byte [r10 - 1], 0
  jne .done
  mov [folder], rsi
  call nextString
  mov r8d, environment
  mov r9d, environment + 8 * AgentLimit_Strings
.variable:
  cmp rsi, r10
  jae .done                               ; no arguments
  cmp byte [rsi], 0
  je .variables
  cmp r8, r9
  jae .tooMany
  mov [r8], rsi
  add r8, 8
  call nextString
  jmp .variable
.variables:
  mov qword [r8], 0
  inc rsi
  mov r8d, arguments
  mov r9d, arguments + 8 * AgentLimit_Strings
.argument:
  cmp rsi, r10
  jae .arguments
  cmp r8, r9
  jae .tooMany
  mov [r8], rsi
  add r8, 8
  call nextString
  jmp .argument
.arguments:
  mov qword [r8], 0
  cmp r8, arguments
  je .done
  xor edx, edx
.done:
  ret
.tooMany:
  mov edx, E2BIG
  ret

; In: rsi a string. Out: rsi behind its 00h. The block's last byte is one.
nextString:
  inc rsi
  cmp byte [rsi - 1], 0
  jne nextString
  ret

; The child, in our memory until execve. It never returns.
child:
  mov eax, SYS_SETSID
  syscall
  mov r14d, 1                             ; what the shell that started us has chosen to ignore is not for the command
.signal:
  mov edi, r14d
  mov esi, DEFAULT_ACTION
  xor edx, edx
  mov r10d, 8
  mov eax, SYS_RT_SIGACTION
  syscall
  inc r14d
  cmp r14d, SIGNALS
  jbe .signal
  mov edi, 2                              ; SIG_SETMASK
  mov esi, DEFAULT_ACTION                 ; none: zeros
  xor edx, edx
  mov r10d, 8
  mov eax, SYS_RT_SIGPROCMASK
  syscall
  xor r14d, r14d
.stream:
  mov eax, [THEIRS + 4 * r14]
  mov edi, [rax]
  mov esi, r14d
  mov eax, SYS_DUP2
  syscall
  inc r14d
  cmp r14d, 3
  jb .stream
  mov rdi, [folder]
  mov eax, SYS_CHDIR
  syscall
  test eax, eax
  js .failed
  mov rsi, [arguments]
.slash:
  cmp byte [rsi], "/"
  je .path
  call .step
  jnz .slash
  jmp .search
.path:
  mov rdi, [arguments]
  call execute
  jmp .failed
.step:
  inc rsi
  cmp byte [rsi - 1], 0
  ret

; A name without a slash: in FOLDERS, one after the other.
.search:
  sub rsi, [arguments]
  mov eax, -ENAMETOOLONG
  cmp rsi, NAME_BYTES
  ja .failed
  mov r13d, -ENOENT
  mov r14d, FOLDERS
.folder:
  mov edi, path
.copy:
  mov al, [r14]
  inc r14
  test al, al
  jz .name
  stosb
  jmp .copy
.name:
  mov rsi, [arguments]
.letter:
  lodsb
  stosb
  test al, al
  jnz .letter
  mov edi, path
  call execute
  cmp eax, -ENOENT
  je .another
  cmp eax, -ENOTDIR
  je .another
  cmp eax, -EACCES
  jne .failed
  mov r13d, eax                           ; says more than that it is not in the next one
.another:
  cmp byte [r14], 0
  jne .folder
  mov eax, r13d
.failed:
  neg eax
  mov [SPAWN_ERROR], eax
  mov edi, 127
  mov eax, SYS_EXIT
  syscall

; In: rdi a path. Comes back with the error in eax.
execute:
  mov esi, arguments
  mov edx, environment
  mov eax, SYS_EXECVE
  syscall
  ret

; ---- frames out -------------------------------------------------------------------------------------------------------------

; In: r8 whose Hello it answers.
sendReady:
  mov dword [word0], AgentLimit_Version
  xor r9d, r9d
  mov esi, word0
  mov ecx, 4
  mov eax, AgentFrame_Ready
  jmp sendAs

; For a session that there is none of. In: r8 its number, eax AgentEnd.
sendEnd:
  mov [word0], eax
  mov dword [word1], 0
  xor r9d, r9d
  mov esi, word0
  mov ecx, 8
  mov eax, AgentFrame_End
  jmp sendAs

; In: rbx the session, eax AgentFrame, rsi and ecx the payload.
send:
  mov r8, [rbx + Session.id]
  mov r9d, [rbx + Session.seqOut]
  inc dword [rbx + Session.seqOut]
; In: r8 the session's number, r9d seq, the rest as for send.
sendAs:
  mov edi, made
  mov [rdi], r8
  mov [rdi + 8], r9d
  mov [rdi + 12], eax
  add edi, AgentLimit_HeaderBytes
  rep movsb
  mov r10d, edi
  mov esi, made
  mov ecx, edi
  sub ecx, esi
  call crc32c
  mov [r10], eax
  add r10d, 4
  mov esi, made
  mov edi, coded
  mov byte [rdi], 0                       ; ends whatever somebody else left on the line
  inc edi
.group:
  mov edx, edi                            ; COBS: where its code goes
  inc edi
  mov ecx, 1
.byte:
  cmp esi, r10d
  je .whole
  lodsb
  test al, al
  jz .close
  stosb
  inc ecx
  cmp ecx, 255
  jne .byte
.close:
  mov [rdx], cl
  jmp .group
.whole:
  mov [rdx], cl
  mov byte [rdi], 0
  lea edx, [rdi + 1]
  mov esi, coded
  sub edx, esi
.write:
  mov edi, [lineOut]
  mov eax, SYS_WRITE
  syscall
  cmp rax, -EINTR
  je .write
  test rax, rax
  jle leave
  add rsi, rax
  sub rdx, rax
  jnz .write
  ret

; In: rsi bytes, ecx how many. Out: eax their CRC-32C, rsi behind them. By nibbles.
crc32c:
  mov eax, -1
  jecxz .done
.byte:
  movzx edx, byte [rsi]
  inc rsi
  xor eax, edx
  mov edx, eax
  and edx, 15
  shr eax, 4
  xor eax, [CRC_TABLE + 4 * rdx]
  mov edx, eax
  and edx, 15
  shr eax, 4
  xor eax, [CRC_TABLE + 4 * rdx]
  dec ecx
  jnz .byte
.done:
  not eax
  ret

; ---- data -------------------------------------------------------------------------------------------------------------------

DEVICE: db "/dev/ttyS1", 0
FOLDERS: db "/bin/", 0, "/sbin/", 0, "/usr/bin/", 0, "/usr/sbin/", 0, 0

align 8
BLOCKED: dq (1 << (SIGCHLD - 1)) | (1 << (SIGPIPE - 1))
CHILD_SIGNAL: dq 1 << (SIGCHLD - 1)
DEFAULT_ACTION: times 32 db 0             ; SIG_DFL; as a set of signals, none
TERMIOS: dd 0, 0, LINE_MODE, 0            ; c_iflag, c_oflag, c_cflag, c_lflag: raw
  db 0                                    ; c_line
  db 0, 0, 0, 0, 0, 0, 1                  ; c_cc: VMIN is 1
  times 12 db 0
THEIRS: dd pipes, pipes + 12, pipes + 20

CRC_TABLE:                                ; of the 16 nibbles, polynomial 82F63B78h
%assign nibble 0
%rep 16
  %assign value nibble
  %rep 4
    %if value & 1
      %assign value (value >> 1) ^ 0x82F63B78
    %else
      %assign value value >> 1
    %endif
  %endrep
  dd value
  %assign nibble nibble + 1
%endrep
image_end:

section .bss
alignb 8
clock: resq 2                             ; seconds, nanoseconds
folder: resq 1
lineIn: resd 1
lineOut: resd 1
signals: resd 1
waited: resd 1
lineCount: resd 1
payloadBytes: resd 1
SPAWN_ERROR: resd 1                       ; the child's word to us
word0: resd 1                             ; a payload of one word or two
word1: resd 1
pipes: resd 6                             ; of stdin, stdout, stderr: the end to read from, the end to write to
alignb 8
polls: resb (2 + 3 * AgentLimit_Sessions) * PollFd_size
path: resb NAME_BYTES + 16
alignb 8
arguments: resq AgentLimit_Strings + 1
environment: resq AgentLimit_Strings + 1
chunk: resb CHUNK
arrived: resb CHUNK
line: resb LINE_BYTES
taken: resb LINE_BYTES
made: resb FRAME_BYTES
coded: resb LINE_BYTES
alignb 8
sessions: resb AgentLimit_Sessions * Session_size
memory_end:
