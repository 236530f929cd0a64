; The end of a session: its pipes, its process group, its frame End.

; Nobody asked for the command for long.
abandon:
  cmp dword [rbx + Session.exited], 0     ; its number may be another's by now
  jne .ended
  mov esi, SIGKILL
  call signalGroup
.ended:
  call closeStreams
  mov rax, [rbx + Session.id]
  mov ecx, [abandonedNext]
  mov [abandoned + 8 * rcx], rax
  inc ecx
  and ecx, ABANDONED - 1
  mov [abandonedNext], ecx
free:
  mov qword [rbx + Session.id], 0
  mov dword [rbx + Session.pid], 0
  ret

; A command that was given up shall not run once more, whatever is sent again of it. In: r8 a session's number. Out: the zero flag if it was
; abandoned; keeps eax, ecx, r8.
wasAbandoned:
  mov edx, ABANDONED
.next:
  cmp [abandoned + 8 * rdx - 8], r8
  je .done
  dec edx
  jnz .next
  test rsp, rsp                           ; none: not zero
.done:
  ret

; The session is over, but for what is kept of it. In: eax AgentEnd, edx its value.
finish:
  mov [word0], eax
  mov [word1], edx
  mov esi, word0
  mov ecx, 8
  mov eax, AgentFrame_End
  call send
  mov dword [rbx + Session.ended], 1
  mov dword [rbx + Session.inputCount], 0
  mov dword [rbx + Session.pid], 0
closeStreams:
  lea rdi, [rbx + Session.in]
  call close
  lea rdi, [rbx + Session.out]
  call close
  lea rdi, [rbx + Session.err]
  jmp close

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
