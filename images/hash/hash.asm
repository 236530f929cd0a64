; hash: a running hash over all that a guest does, so that one wrong bit after a restore shows in every line from then on.
; A round is a stage in 64-bit, one in 32-bit and one in real mode. Each works on general registers, RAM, x87, SSE (64-bit: AVX), string
; I/O in both directions, and ends in HLT; 64-bit single-steps for a while too. Timer interrupts are on throughout and must not show:
; they are counted beside the hash, which depends on the number of rounds alone.
;
;   rounds=N    rounds before the end (default: for ever); a line `hash: round N HASH ticks T nmis M` each
;   modes=N     which stages: 1 64-bit, 2 32-bit, 4 real mode (default 7); and two in 64-bit mode for what is rarely met: 8 exceptions that
;               exit, one after the other, 16 interrupts held back all the time

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "avx.inc"
%include "power.inc"

; Below 64 KiB, where every mode reaches it.
%define REAL 0x8000                       ; real mode's code, copied
%define REAL_OF(label) (label - real_start + REAL)
%define REAL_STACK 0x7000
%define BUFFER 0x9000
%define BUFFER_BYTES 0x1000
%define TICKS 0xA000
%define STEPS 0xA004
%define NUMBER 0xA008
%define MODES 0xA00C
%define NMIS 0xA010                       ; taken in 64-bit mode, where alone they may come
%define UNDEFINED 0xA014                  ; #UD that were taken

%define POST 0x80                         ; port 80h keeps what is written and gives it back
%define VECTOR_DB 1
%define VECTOR_NMI 2
%define VECTOR_UD 6
%define RFLAGS_TF (1 << 8)
%define HZ_COUNT 11932                    ; 100 Hz

; A stage's work: more of it in the guest than in exits, and string I/O that takes several exits. In and out: EBP, the hash; ST0 and
; XMM1 and XMM2 live from stage to stage. Clobbers EAX, ECX, EDX, ESI, EDI, XMM0.
%macro work 0
  mov ecx, 20000
%%compute:
  imul ebp, ebp, 0x01000193
  rol ebp, 5
  add ebp, ecx
  dec ecx
  jnz %%compute
  mov edi, BUFFER
  mov ecx, BUFFER_BYTES / 4
%%ram:
  imul ebp, ebp, 0x01000193
  xor ebp, [edi]
  add ebp, ecx
  mov [edi], ebp
  add edi, 4
  dec ecx
  jnz %%ram
  movd xmm0, ebp
  paddd xmm1, xmm0
  pmuludq xmm2, xmm1
  pxor xmm2, xmm0
  movd eax, xmm2
  xor ebp, eax
  mov eax, ebp
  and eax, 0x7FFF
  mov [NUMBER], eax
  fiadd dword [NUMBER]
  fsqrt
  fist dword [NUMBER]
  add ebp, [NUMBER]
  mov edx, POST
  mov esi, BUFFER
  mov ecx, BUFFER_BYTES
  rep outsb
  add ebp, esi
  mov edi, BUFFER + BUFFER_BYTES / 2
  mov ecx, BUFFER_BYTES / 2
  rep insb
  add ebp, edi
  xor ebp, [BUFFER + BUFFER_BYTES - 4]
%endmacro

main:
  mov rsi, name_rounds
  mov rax, -1
  call option_number
  mov [rounds], rax
  mov rsi, name_modes
  mov eax, 7
  call option_number
  mov [MODES], eax
  mov esi, real_start
  mov edi, REAL
  mov ecx, real_end - real_start
  rep movsb
  mov dword [PIC_BASE * 4], REAL_OF(real_timer)
  mov eax, timer32
  mov [idt32 + PIC_BASE * 8], ax
  shr eax, 16
  mov [idt32 + PIC_BASE * 8 + 6], ax
  mov dword [idt32 + PIC_BASE * 8 + 2], 0x8E000000 | SEL_CODE32
  call idt_init
  mov eax, VECTOR_DB
  mov edx, step_trap
  call hook
  mov eax, VECTOR_NMI
  mov edx, nmi
  call hook
  mov eax, VECTOR_UD
  mov edx, undefined
  call hook
  mov eax, HZ_COUNT
  call timer_init
  mov eax, PIC_BASE
  mov edx, tick
  call hook
  call avx_init
  cmp byte [avx], 0
  je .no_avx
  vxorps ymm8, ymm8, ymm8
.no_avx:
  mov edi, BUFFER
  mov ecx, BUFFER_BYTES / 4
  mov eax, 0x9E3779B9
  rep stosd
  fninit
  fldz
  pxor xmm1, xmm1
  pcmpeqd xmm2, xmm2
  mov ebp, 0x811C9DC5
  print "hash: start", 10

.round:
  test byte [MODES], 1
  jz .no_64
  sti
  work
  call work64
  hlt
  cli
.no_64:
  test byte [MODES], 8
  jz .no_exceptions
  sti
  call exceptions
  cli
.no_exceptions:
  test byte [MODES], 16
  jz .leave
  work
  sti
  nop                                     ; here what was held back comes
  cli
.leave:
  mov [long_stack], rsp
  push SEL_CODE32
  push stage32
  retfq
.back:
  mov rsp, [long_stack]
  lidt [idt_pointer]
  inc qword [round]
  print "hash: round "
  print_decimal [round]
  print " "
  mov eax, ebp
  mov edx, [STEPS]
  shl rdx, 32
  or rax, rdx
  call put_hex
  print " ticks "
  mov eax, [TICKS]
  call put_decimal
  print " nmis "
  mov eax, [NMIS]
  call put_decimal
  print 10
  mov rax, [round]
  cmp rax, [rounds]
  jne .round
  print "hash: done", 10
  ret

; What only 64-bit mode has: the other registers, AVX; and single steps over instructions that exit and that do not.
work64:
  mov ecx, 3000
  mov eax, ebp
.general:
  %assign n 8
  %rep 8
    rol r %+ n, n
    xor r %+ n, rax
    add rax, r %+ n
    %assign n n + 1
  %endrep
  dec ecx
  jnz .general
  xor ebp, eax
  cmp byte [avx], 0
  je .no_avx
  vmovd xmm9, ebp
  vinsertf128 ymm9, ymm9, xmm9, 1
  vxorps ymm8, ymm8, ymm9
  vpermilps ymm8, ymm8, 0x39
  vextractf128 xmm9, ymm8, 1
  vmovd eax, xmm9
  add ebp, eax
.no_avx:
  mov edi, 8
.steps:
  pushfq
  or dword [rsp], RFLAGS_TF
  popfq
  mov eax, 0x40000000
  cpuid
  xor ebp, eax
  in al, POST
  rol ebp, 3
  pushfq
  and dword [rsp], ~RFLAGS_TF
  popfq
  add ebp, [STEPS]
  dec edi
  jnz .steps
  ret

; #UD exits, and is injected: the time goes to exits that end with an event for the next entry.
exceptions:
  mov ecx, 400
.next:
  ud2
  add ebp, [UNDEFINED]
  rol ebp, 3
  dec ecx
  jnz .next
  ret

undefined:
  inc dword [UNDEFINED]
  add qword [rdi + frame.rip], 2          ; UD2
  ret

step_trap:
  inc dword [STEPS]
  ret

nmi:
  inc dword [NMIS]
  ret

tick:
  inc dword [TICKS]
  out_byte PIC1_COMMAND, PIC_EOI
  ret

bits 32
; From compatibility mode: out of long mode, the stage, on to real mode.
stage32:
  mov eax, cr0
  and eax, ~CR0_PG
  mov cr0, eax
  mov ecx, IA32_EFER
  rdmsr
  and eax, ~EFER_LME
  wrmsr
  lidt [idt32_pointer]
  test byte [MODES], 2
  jz .leave
  sti
  work
  hlt
  cli
.leave:
  lidt [real_idt]
  jmp SEL_CODE16:REAL_OF(protected16)
stage32_back:
  mov ax, SEL_DATA
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, stack_top
  mov ecx, IA32_EFER
  rdmsr
  or eax, EFER_LME
  wrmsr
  mov eax, cr0
  or eax, CR0_PG
  mov cr0, eax
  jmp SEL_CODE64:main.back

timer32:
  push eax
  inc dword [TICKS]
  out_byte PIC1_COMMAND, PIC_EOI
  pop eax
  iretd

; Real mode's code: copied to REAL.
bits 16
real_start:
protected16:
  mov ax, SEL_DATA16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov eax, cr0
  and eax, ~CR0_PE
  mov cr0, eax
  jmp 0:REAL_OF(.real)
.real:
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, REAL_STACK
  test byte [MODES], 4
  jz .leave
  sti
  work
  hlt
  cli
.leave:
  mov eax, cr0
  or eax, CR0_PE
  mov cr0, eax
  jmp dword SEL_CODE32:stage32_back
real_timer:
  push ax
  inc dword [TICKS]
  out_byte PIC1_COMMAND, PIC_EOI
  pop ax
  iret
real_end:

bits 64
name_rounds: db "rounds=", 0
name_modes: db "modes=", 0
align 8
real_idt:
  dw 0x3FF
  dd 0
align 8
idt32_pointer:
  dw (PIC_BASE + 1) * 8 - 1
  dd idt32
align 8
rounds: dq 0
round: dq 0
long_stack: dq 0
avx: db 0
section .bss
align 8, resb 1
idt32: resb (PIC_BASE + 1) * 8
section .text

%include "end.inc"
