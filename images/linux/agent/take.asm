; A frame that is whole: to its session, in its turn. Called by receive.asm.

; A frame that is whole: to whom, and is it that one's turn?
take:
  mov r8, [taken]
  mov ecx, [taken + 8]
  movzx eax, byte [taken + 12]
  cmp eax, AgentFrame_Hello
  je sendReady
  test r8, r8
  jz .nobody
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
.nobody:
  cmp eax, AgentFrame_Cloned
  je takeCloned
  ret
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
