; Frames to the line. A counted one is kept in its session until it is acknowledged (take.asm).

; In: r8 whose Hello it answers.
sendReady:
  xor r9d, r9d
  mov r11d, AgentLimit_Version
  mov esi, generation
  mov ecx, 8
  mov eax, AgentFrame_Ready
  jmp sendAs

; For a session that there is no place for. In: r8 its number, eax AgentEnd.
sendEnd:
  mov [word0], eax
  mov dword [word1], 0
  xor r9d, r9d
  xor r11d, r11d
  mov esi, word0
  mov ecx, 8
  mov eax, AgentFrame_End
  jmp sendAs

; Out: ecx frames of the session rbx that are kept. Keeps the rest.
keptFrames:
  mov ecx, [rbx + Session.seqOut]
  sub ecx, [rbx + Session.acked]
  ret

; A counted frame. In: rbx the session, eax AgentFrame, rsi and ecx the payload. There is a place for it.
send:
  mov edx, [rbx + Session.seqOut]
  inc dword [rbx + Session.seqOut]
  call keptAt
  mov [r10 + Kept.type], ax
  mov [r10 + Kept.bytes], cx
  lea rdi, [r10 + Kept.payload]
  rep movsb
; Once more. In: rbx the session, edx the frame's seq.
sendKept:
  call keptAt
  movzx eax, word [r10 + Kept.type]
  movzx ecx, word [r10 + Kept.bytes]
  lea rsi, [r10 + Kept.payload]
  mov r9d, edx
  jmp sendOf

; In: edx a frame's seq. Out: r10 where it is kept; keeps the rest.
keptAt:
  mov r10d, edx
  and r10d, AgentLimit_Frames - 1
  imul r10d, r10d, Kept_size
  lea r10, [rbx + r10 + Session.kept]
  ret

; A frame that is not counted. In: rbx the session, eax AgentFrame.
tell:
  xor ecx, ecx
; In: rsi and ecx its payload.
tellWith:
  mov r9d, [rbx + Session.seqOut]
; In: r9d seq.
sendOf:
  mov r8, [rbx + Session.id]
  mov r11d, [rbx + Session.seqIn]
; In: r8 the session's number, r9d seq, r11d ack, eax AgentFrame, rsi and ecx the payload.
sendAs:
  mov edi, made
  mov [rdi], r8
  mov [rdi + 8], r9d
  mov [rdi + 12], eax
  mov [rdi + 16], r11d
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
