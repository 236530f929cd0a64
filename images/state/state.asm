; state: fills every register that a guest can change with a pattern from its command line, and verifies for ever that none changes.
; Two of these beside each other, with different patterns, would see each other's values if a world switch forgot a register.
;
;   pattern=N   seed of the values (default 1)
;   rounds=N    rounds before the end (default: for ever); a line `state: round N ok` each
;   spins=N     verifications in a round (default 4096): long enough to be preempted in the middle
;
; General registers, x87, SSE, AVX where CPUID and XCR0 have it, DR0-DR3, DR6, DR7, CR2, PAT, STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE, FS and GS
; base, SYSENTER, what CPUID tells of XCR0, and a MiB of RAM at RAM_AREA, which is written once: its digest never changes.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "avx.inc"
%include "power.inc"

%define RAM_AREA 0x200000
%define RAM_AREA_BYTES 0x100000

; %1: rank. Out: RAX, the value that register number %1 shall have: RBP (the seed) spread by an odd constant, canonical and below 4 GiB
; where the register asks for it.
%macro value 1
  mov rax, 0x9E3779B97F4A7C15 + 2 * %1
  imul rax, rbp
  rol rax, 7 + %1
%endmacro
%macro value_address 1
  value %1
  shr rax, 18                             ; canonical
%endmacro
%macro value_dword 1
  value %1
  shr rax, 32
%endmacro
%macro value_word 1
  value %1
  shr rax, 48
%endmacro

; DR6: B3 to B0 of a value, the rest as it is fixed (SDM vol. 3, 18.2.3)
%macro value_dr6 1
  value %1
  and eax, 15
  or eax, 0xFFFF0FF0
%endmacro
; DR7: conditions and lengths of breakpoints that are all off: R/W 01 or 11, any length (18.2.4)
%macro value_dr7 1
  value %1
  and eax, 0xEEEE0000
  or eax, 0x11110400
%endmacro
; PAT: write-through, write-protected, uncached and write-back in some order in the entries that nobody uses here
%macro value_pat 1
  value %1
  mov ecx, eax
  and ecx, 0x18
  mov eax, 0x04000501
  rol eax, cl
  shl rax, 32
  mov ecx, 0x00070406
  or rax, rcx
%endmacro

; %1: MSR, %2: rank, %3: value macro
%macro msr_set 3
  %3 %2
  mov ecx, %1
  mov rdx, rax
  shr rdx, 32
  wrmsr
%endmacro
%macro msr_verify 3
  mov ecx, %1
  rdmsr
  shl rdx, 32
  or rdx, rax
  %3 %2
  mov ebx, %1
  cmp rax, rdx
  jne changed
%endmacro

; Runs macro %1_set or %1_verify over the MSRs.
%macro all_msrs 1
  %1 0xC0000081, 1, value                 ; STAR
  %1 0xC0000082, 2, value_address         ; LSTAR
  %1 0xC0000083, 3, value_address         ; CSTAR
  %1 0xC0000084, 4, value_dword           ; SFMASK
  %1 0xC0000100, 5, value_address         ; FS_BASE
  %1 0xC0000101, 6, value_address         ; GS_BASE
  %1 0xC0000102, 7, value_address         ; KERNEL_GS_BASE
  %1 0x174, 8, value_word                 ; SYSENTER_CS
  %1 0x175, 9, value_address              ; SYSENTER_ESP
  %1 0x176, 10, value_address             ; SYSENTER_EIP
  %1 0x277, 11, value_pat                 ; PAT
%endmacro

; %1: debug or control register, %2: rank, %3: value macro
%macro register_set 3
  %3 %2
  mov %1, rax
%endmacro
%macro register_verify 3
  %3 %2
  mov rdx, %1
  mov ebx, %2
  cmp rax, rdx
  jne changed
%endmacro
%macro all_registers 1
  %1 dr0, 20, value_address
  %1 dr1, 21, value_address
  %1 dr2, 22, value_address
  %1 dr3, 23, value_address
  %1 cr2, 24, value_address
  %1 dr6, 25, value_dr6
  %1 dr7, 26, value_dr7
%endmacro

main:
  mov rsi, name_pattern
  mov eax, 1
  call option_number
  mov rbp, rax
  mov [pattern], rax
  mov rsi, name_rounds
  mov rax, -1
  call option_number
  mov [rounds], rax
  mov rsi, name_spins
  mov eax, 4096
  call option_number
  mov [spins], rax
  call idt_init
  call avx_init
  mov rdi, RAM_AREA
  mov ecx, RAM_AREA_BYTES / 8
  value 40
  rep stosq
  all_msrs msr_set
  all_registers register_set
  call vectors_set
  call xsave_size
  mov [xsave_bytes], ebx
  print "state: pattern "
  print_decimal [pattern]
  cmp byte [avx], 0
  je .no_avx
  print " with AVX"
.no_avx:
  print 10

.round:
  mov r15, [spins]
.spin:
  call xsave_verify
  call vectors_verify
  call general_verify
  dec r15
  jnz .spin
  all_msrs msr_verify
  all_registers register_verify
  call ram_verify
  inc qword [round]
  print "state: round "
  print_decimal [round]
  print " ok", 10
  mov rax, [round]
  cmp rax, [rounds]
  jne .round
  print "state: done", 10
  ret

; In: EBX, what changed: an MSR's number or a rank. RAX: expected, RDX: found.
changed:
  print "FAIL state changed: "
  print_hex rbx
  print " expected "
  print_hex rax
  print " found "
  print_hex rdx
  print 10
  jmp power_off

; The values of R8-R14 through a loop in which nothing but a preemption can change them.
general_verify:
  value 30
  mov r8, rax
  mov r9, rax
  mov r10, rax
  mov r11, rax
  mov r12, rax
  mov r13, rax
  mov r14, rax
  mov ecx, 64
.wait:
  dec ecx
  jnz .wait
  mov ebx, 30
  %assign n 8
  %rep 7
    mov rdx, r %+ n
    cmp rax, rdx
    jne changed
    %assign n n + 1
  %endrep
  ret

ram_verify:
  value 40
  mov rdx, rax
  mov rdi, RAM_AREA
  mov ecx, RAM_AREA_BYTES / 8
  repe scasq
  mov ebx, 40
  je .same
  mov rdx, [rdi - 8]
  jmp changed
.same:
  ret

; x87 control and ST0-ST7, MXCSR, XMM0-15 (YMM0-15 with AVX). The FXSAVE image of it all is the reference.
vectors_set:
  %assign n 0
  %rep 4
    value 50 + n
    mov [vector + n * 8], rax
    %assign n n + 1
  %endrep
  fninit
  mov eax, [pattern]
  and eax, 3
  mov edx, eax
  shl eax, 10                             ; rounding control
  or eax, 0x037F
  mov [control], eax
  fldcw [control]
  shl edx, 13
  or edx, 0x1F80
  mov [control], edx
  ldmxcsr [control]
  value_dword 54
  mov [integer], rax
  %rep 8
    fild qword [integer]
    inc qword [integer]
  %endrep
  cmp byte [avx], 0
  je .sse
  %assign n 0
  %rep 16
    vmovups ymm %+ n, [vector]
    %assign n n + 1
  %endrep
  jmp .reference
.sse:
  %assign n 0
  %rep 16
    movups xmm %+ n, [vector]
    %assign n n + 1
  %endrep
.reference:
  fxsave64 [reference]
  ret

; EBX of CPUID leaf 0Dh is the size for what XCR0 has enabled (SDM vol. 2A, CPUID): whoever answers it has to look at this guest's
; XCR0, while the vectors stay what they are. Out: EBX
xsave_size:
  mov eax, 0x0D
  xor ecx, ecx
  cpuid
  ret

xsave_verify:
  call xsave_size
  mov eax, [xsave_bytes]
  mov edx, ebx
  mov ebx, 63
  cmp eax, edx
  jne changed
  ret

; FCW, FSW, FTW; MXCSR; ST0-ST7 and XMM0-15 of the FXSAVE image (SDM vol. 1, 10.5.1), then the upper halves of YMM.
vectors_verify:
  fxsave64 [area]
  mov ebx, 60
  mov rax, [reference]
  mov rdx, [area]
  shl rax, 16                             ; without FOP, which QEMU does not store
  shl rdx, 16
  cmp rax, rdx
  jne changed
  mov eax, [reference + 24]
  mov edx, [area + 24]
  cmp rax, rdx
  jne changed
  mov esi, reference + 32
  mov edi, area + 32
  mov ecx, (8 + 16) * 2
  repe cmpsq
  mov ebx, 61
  mov rax, [rsi - 8]
  mov rdx, [rdi - 8]
  jne changed
  cmp byte [avx], 0
  je .done
  mov ebx, 62
  %assign n 0
  %rep 16
    vextractf128 [area], ymm %+ n, 1
    mov rax, [vector + 16]
    mov rdx, [area]
    cmp rax, rdx
    jne changed
    mov rax, [vector + 24]
    mov rdx, [area + 8]
    cmp rax, rdx
    jne changed
    %assign n n + 1
  %endrep
.done:
  ret

name_pattern: db "pattern=", 0
name_rounds: db "rounds=", 0
name_spins: db "spins=", 0
align 8
pattern: dq 0
rounds: dq 0
spins: dq 0
round: dq 0
integer: dq 0
control: dd 0
xsave_bytes: dd 0
avx: db 0
section .bss
align 64, resb 1
area: resb 512
reference: resb 512
vector: resb 32
section .text

%include "end.inc"
