; Frames to the line.

; In: r8 whose Hello it answers.
sendReady:
  mov dword [version], AgentLimit_Version
  xor r9d, r9d
  mov esi, version
  mov ecx, 12
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
