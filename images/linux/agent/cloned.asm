; The guest is a copy of another one, or of a snapshot: the control plane says so before anything else that is meant for the copy. Called by
; take.asm.
;
; 1. Commands that were begun before are the other guest's, and whoever waits for them is there: here they end.
; 2. The entropy goes into the kernel's pool, and the generator takes its key from there at once: until then both guests read the same.
; 3. The guest gets its own name, and Ready of no session says that it is another one now.
; What the kernel refuses stays as it is.

; In: the frame in `taken`.
takeCloned:
  cmp dword [payloadBytes], AgentCloned_Name
  jb .none
  mov rax, [CLONED + AgentCloned_Generation]
  mov [generation], rax
  mov ebx, sessions
.session:
  cmp qword [rbx + Session.id], 0
  je .next
  call abandon
.next:
  add rbx, Session_size
  cmp rbx, sessions + AgentLimit_Sessions * Session_size
  jb .session
  mov edi, RANDOM
  mov esi, O_RDWR | O_CLOEXEC
  mov eax, SYS_OPEN
  syscall
  test eax, eax
  js .name
  mov [randomFile], eax
  mov edi, eax                            ; random(4), struct rand_pool_info: bits, bytes, and then they themselves
  mov edx, CLONED + AgentCloned_Entropy - 8
  mov dword [rdx], 8 * AgentCloned_EntropyBytes
  mov dword [rdx + 4], AgentCloned_EntropyBytes
  mov esi, RNDADDENTROPY
  mov eax, SYS_IOCTL
  syscall
  mov edi, [randomFile]
  mov esi, RNDRESEEDCRNG
  mov eax, SYS_IOCTL
  syscall
  mov edi, randomFile
  call close
.name:
  mov edi, CLONED + AgentCloned_Name
  mov esi, [payloadBytes]
  sub esi, AgentCloned_Name
  jz .ready
  mov eax, SYS_SETHOSTNAME
  syscall
.ready:
  xor r8d, r8d
  jmp sendReady
.none:
  ret
