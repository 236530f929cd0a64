; Bytes of the line to frames: between 00h bytes, COBS-encoded, under a CRC-32C. The loop of agent.asm calls receive; a whole frame goes to take.

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
