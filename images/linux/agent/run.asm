; A command's start: pipes, its words, and a child that becomes it (child.asm). AgentFrame.Run leads here.

tooLong:
  mov edx, E2BIG
notStarted:                               ; edx: why
  mov eax, AgentEnd_NotStarted
  jmp finish

run:
  cmp dword [rbx + Session.pid], 0
  jne lost
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
