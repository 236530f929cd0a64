; A frame that is whole: to its session, in its turn. What has come is acknowledged by whatever is sent next; what is missing is asked for, and
; what the other end misses is sent again. Called by receive.asm.

; In: `taken` and payloadBytes.
take:
  mov r8, [taken]
  mov ecx, [taken + 8]
  movzx eax, byte [taken + 12]
  cmp eax, AgentFrame_Hello
  je sendReady
  test r8, r8
  jz .nobody
  call findSession
  je .found
  call wasAbandoned
  je .lost
  cmp eax, AgentFrame_Command
  jne .unknown
  test ecx, ecx
  jnz .unknown
  call makeSession
  je .found
  mov eax, AgentEnd_Busy
  jmp sendEnd
.lost:
  mov eax, AgentEnd_Lost
  jmp sendEnd
.nobody:
  cmp eax, AgentFrame_Cloned
  je takeCloned
  ret
.unknown:                                 ; nothing of it has come
  mov eax, AgentFrame_Again
  xor r9d, r9d
  xor r11d, r11d
  xor ecx, ecx
  jmp sendAs
.found:
  mov rdx, [clock]
  mov [rbx + Session.heard], rdx
  mov edx, [taken + 16]                   ; what it acknowledges is kept no longer
  sub edx, [rbx + Session.acked]
  mov esi, [rbx + Session.seqOut]
  sub esi, [rbx + Session.acked]
  cmp edx, esi
  ja .none                                ; it cannot have seen that
  add [rbx + Session.acked], edx
  cmp dword [rbx + Session.ended], 0
  je .goesOn
  cmp edx, esi
  je free                                 ; the other end knows all
.goesOn:
  sub ecx, [rbx + Session.seqIn]          ; 0: its turn, above: something is missing, below: it has come before
  cmp eax, AgentFrame_Alive
  je takeAlive
  cmp eax, AgentFrame_Again
  je takeAgain
  test ecx, ecx
  js .none
  jnz .missing
  inc dword [rbx + Session.seqIn]
  mov dword [rbx + Session.asked], 0
  cmp dword [rbx + Session.ended], 0
  jne .none
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
.missing:
  cmp dword [rbx + Session.asked], 0      ; the rest of those that follow the missing one
  jne .none
  mov dword [rbx + Session.asked], 1
  mov eax, AgentFrame_Again
  jmp tell

; It makes no sense.
lost:
  cmp dword [rbx + Session.exited], 0
  jne .exited
  mov esi, SIGKILL
  call signalGroup
.exited:
  mov eax, AgentEnd_Lost
  xor edx, edx
  jmp finish

; In: ecx above 0: something is missing, of which nothing that followed has told, or of what was asked for.
takeAlive:
  mov eax, AgentFrame_Alive
  test ecx, ecx
  jle tell
  mov eax, AgentFrame_Again
  jmp tell

; All that is kept once more, and that it was all.
takeAgain:
  mov eax, [taken + AgentLimit_HeaderBytes]
  mov [word0], eax
  mov r14d, [rbx + Session.acked]
.frame:
  cmp r14d, [rbx + Session.seqOut]
  je .whole
  mov edx, r14d
  call sendKept
  inc r14d
  jmp .frame
.whole:
  mov eax, AgentFrame_Whole
  mov esi, word0
  mov ecx, 4
  jmp tellWith

; In: r8 a session's number. Out: rbx it, and the zero flag; keeps eax, ecx, r8.
findSession:
  mov ebx, sessions
.look:
  cmp [rbx + Session.id], r8
  je .done
  add rbx, Session_size
  cmp rbx, sessions + AgentLimit_Sessions * Session_size
  jb .look
  test rbx, rbx                           ; none: not zero
.done:
  ret

; In: r8 its number. Out: rbx a new session, and the zero flag; keeps eax, ecx, r8. One that has ended, and whose last acknowledgement was lost, makes
; way.
makeSession:
  push rax
  push r8
  xor r8d, r8d
  call findSession
  je .unused
  mov ebx, sessions
.look:
  cmp dword [rbx + Session.ended], 0
  jne .unused
  add rbx, Session_size
  cmp rbx, sessions + AgentLimit_Sessions * Session_size
  jb .look
  test rbx, rbx
  jmp .done
.unused:
  lea rdi, [rbx + Session.heard]
  mov ecx, Session.block - Session.heard
  xor eax, eax
  rep stosb
  mov r8, [rsp]
  mov [rbx + Session.id], r8
  mov dword [rbx + Session.in], NONE
  mov dword [rbx + Session.out], NONE
  mov dword [rbx + Session.err], NONE
  mov dword [rbx + Session.outRoom], AgentLimit_OutputWindow
  xor ecx, ecx
.done:
  pop r8
  pop rax
  ret

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
  cmp dword [rbx + Session.in], NONE
  je .forNobody
  lea edx, [rdi + rcx]
  cmp edx, AgentLimit_InputWindow
  ja lost
  mov [rbx + Session.inputCount], edx
  lea rdi, [rbx + rdi + Session.input]
  rep movsb
  ret
.forNobody:
  add [rbx + Session.roomDue], ecx
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
