; The child between vfork and the command: in the agent's memory, so that its error reaches it. run.asm starts it.

; The child, in our memory until execve. It never returns.
child:
  mov eax, SYS_SETSID
  syscall
  mov r14d, 1                             ; what the shell that started us has chosen to ignore is not for the command
.signal:
  mov edi, r14d
  mov esi, DEFAULT_ACTION
  xor edx, edx
  mov r10d, 8
  mov eax, SYS_RT_SIGACTION
  syscall
  inc r14d
  cmp r14d, SIGNALS
  jbe .signal
  mov edi, 2                              ; SIG_SETMASK
  mov esi, DEFAULT_ACTION                 ; none: zeros
  xor edx, edx
  mov r10d, 8
  mov eax, SYS_RT_SIGPROCMASK
  syscall
  xor r14d, r14d
.stream:
  mov eax, [THEIRS + 4 * r14]
  mov edi, [rax]
  mov esi, r14d
  mov eax, SYS_DUP2
  syscall
  inc r14d
  cmp r14d, 3
  jb .stream
  mov rdi, [folder]
  mov eax, SYS_CHDIR
  syscall
  test eax, eax
  js .failed
  mov rsi, [arguments]
.slash:
  cmp byte [rsi], "/"
  je .path
  call .step
  jnz .slash
  jmp .search
.path:
  mov rdi, [arguments]
  call execute
  jmp .failed
.step:
  inc rsi
  cmp byte [rsi - 1], 0
  ret

; A name without a slash: in FOLDERS, one after the other.
.search:
  sub rsi, [arguments]
  mov eax, -ENAMETOOLONG
  cmp rsi, NAME_BYTES
  ja .failed
  mov r13d, -ENOENT
  mov r14d, FOLDERS
.folder:
  mov edi, path
.copy:
  mov al, [r14]
  inc r14
  test al, al
  jz .name
  stosb
  jmp .copy
.name:
  mov rsi, [arguments]
.letter:
  lodsb
  stosb
  test al, al
  jnz .letter
  mov edi, path
  call execute
  cmp eax, -ENOENT
  je .another
  cmp eax, -ENOTDIR
  je .another
  cmp eax, -EACCES
  jne .failed
  mov r13d, eax                           ; says more than that it is not in the next one
.another:
  cmp byte [r14], 0
  jne .folder
  mov eax, r13d
.failed:
  neg eax
  mov [SPAWN_ERROR], eax
  mov edi, 127
  mov eax, SYS_EXIT
  syscall

; In: rdi a path. Comes back with the error in eax.
execute:
  mov esi, arguments
  mov edx, environment
  mov eax, SYS_EXECVE
  syscall
  ret
