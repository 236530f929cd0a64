; A command's streams: its output to the line as there is room, its input from the session's buffer. The loop of agent.asm calls pump.

; In: rbx a session, r12 its three places in `polls`.
pump:
  mov rax, [clock]
  sub rax, [rbx + Session.heard]
  cmp rax, AgentLimit_SilenceSeconds
  ja abandon
  cmp dword [rbx + Session.ended], 0
  jne .done
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
  call tellRoom
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
  call keptFrames
  cmp ecx, AgentLimit_OutputFrames
  jae .done
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
  add [rbx + Session.roomDue], eax
  cmp dword [rbx + Session.inputEnded], 0
  je .done
  cmp dword [rbx + Session.inputCount], 0
  jne .done
  lea rdi, [rbx + Session.in]
  jmp close
.done:
  ret

; Says how much input was taken: at once, unless too much is kept already.
tellRoom:
  mov eax, [rbx + Session.roomDue]
  test eax, eax
  jz .done
  call keptFrames
  cmp ecx, AgentLimit_Frames - 1          ; the last place is End's
  jae .done
  mov dword [rbx + Session.roomDue], 0
  mov [word0], eax
  mov esi, word0
  mov ecx, 4
  mov eax, AgentFrame_InputRoom
  jmp send
.done:
  ret
