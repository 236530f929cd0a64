; The end of a session: its pipes, its process group, its frame End.

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
