; What the agent waits for, and children that ended. The loop of agent.asm calls both.

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
  call keptFrames
  cmp ecx, AgentLimit_OutputFrames
  jae .next
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
