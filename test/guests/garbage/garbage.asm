; garbage: fills memory with pseudo-random bytes (xorshift64, seed=N) and jumps into them, in the mode that mode=N says. An exception goes on
; at the next piece, so that thousands of random instructions run, until one of them ends the guest or spins for ever. How many pieces
; were begun stands at STARTS.
;
;   mode=0  64-bit                1  32-bit, no paging      2  32-bit, 4 MiB pages
;        3  16-bit, protected     4  real mode              5  64-bit, at CPL 3 in compatibility and 64-bit segments alike
;        6  32-bit, PAE           7  virtual-8086, with all ports, at IOPL 0 and 3 in turn

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "power.inc"

%define RAM_BYTES 0x400000                ; image.json
%define AREA 0x200000
%define AREA_BYTES 0x100000
%define STEP 64                           ; bytes from one start to the next
; 16-bit code has a segment of its own, the same in protected and in real mode: pieces, then what goes on after an exception
%define LOW 0x20000
%define LOW_STEP 16
%define LOW_END 0xE000
%define LOW_CODE 0xF000
%define STARTS (LOW + 0xFFF0)
%define USER 3
; the task state of 64-bit mode (SDM vol. 3, figure 8-11); virtual-8086 mode has SS0, and all ports in its I/O map (figure 8-2)
%define TASK_RSP0 4
%define TASK_SS0 8
%define TASK_IST1 36
%define TASK_IOMAP 102
%define TASK_BYTES 104
%define IO_MAP_BYTES 8192
%define EFLAGS_VM (1 << 17)
%define EFLAGS_IOPL (3 << 12)
; selectors of gdt16, besides those of gdt
%define SEL_USER32 0x30
%define SEL_USER64 0x38
%define SEL_USER_DATA 0x40
%define SEL_TASK 0x48

main:
  mov rsi, name_seed
  mov eax, 1
  call option_number
  mov rbx, rax
  mov rsi, name_mode
  xor eax, eax
  call option_number
  mov [mode], eax
  call idt_init
  mov eax, IDT_VECTORS - 1
  mov edx, fault64
.hook:
  call hook
  dec eax
  jns .hook
  ; Exceptions have a stack of their own: RSP is whatever a piece has left.
  mov edi, idt + 4
  mov ecx, IDT_VECTORS
.ist:
  mov byte [rdi], 1
  add edi, 16
  loop .ist
  mov qword [task + TASK_RSP0], stack_top
  mov qword [task + TASK_IST1], stack_top
  mov word [task + TASK_IOMAP], TASK_BYTES
  mov eax, task
  mov [gdt_task + 2], ax
  shr eax, 16
  mov [gdt_task + 4], al
  lgdt [gdt16_pointer]
  mov ax, SEL_TASK
  ltr ax
  test bl, 1
  jnz .fill
  ; An even seed: what is not RAM faults in the guest. An odd one: such an access ends it.
  mov edi, page_directories + RAM_BYTES / 0x200000 * 8
  mov ecx, 2048 - RAM_BYTES / 0x200000
  xor eax, eax
  rep stosq
  mov rax, cr3
  mov cr3, rax
  mov word [gdt16 + SEL_DATA], (RAM_BYTES >> 12) - 1
  mov byte [gdt16 + SEL_DATA + 6], 0xC0
  mov word [gdt16 + SEL_CODE32], (RAM_BYTES >> 12) - 1
  mov byte [gdt16 + SEL_CODE32 + 6], 0xC0
  mov dword [pages32], RAM_BYTES / 0x400000
.fill:
  mov edi, AREA
  mov ecx, AREA_BYTES / 8
  call fill
  mov edi, LOW
  mov ecx, LOW_END / 8
  call fill
  mov esi, low_code
  mov edi, LOW + LOW_CODE
  mov ecx, low_code_end - low_code
  rep movsb
  mov dword [STARTS], 0
  print "garbage: now", 10
  cmp dword [mode], 0
  je again64
  cmp dword [mode], 5
  je user64

  ; all vectors of the other modes lead to the next piece
  mov edi, idt32
  mov ecx, 256
.gate:
  mov word [rdi], again32 - LOAD_ADDRESS  ; the image is less than 64 KiB
  mov word [rdi + 2], SEL_CODE32
  mov word [rdi + 4], 0x8E00              ; present, DPL 0, 32-bit interrupt gate
  mov word [rdi + 6], LOAD_ADDRESS >> 16
  add edi, 8
  loop .gate
  xor edi, edi
  mov ecx, 256
  mov eax, (LOW >> 4) << 16 | (LOW_CODE + real_again - low_code)
  rep stosd
  ; 4 MiB pages, one to one
  mov edi, directory32
  mov eax, 0x83
  mov ecx, [pages32]
.page:
  stosd
  add eax, 0x400000
  loop .page
  lgdt [gdt16_pointer]                    ; limits
  jmp far dword [leave_pointer]

; In: RDI where, ECX quadwords, RBX state of the generator. Out: RBX. Clobbers: RAX, RCX, RDI
fill:
  mov rax, rbx
  shl rax, 13
  xor rbx, rax
  mov rax, rbx
  shr rax, 7
  xor rbx, rax
  mov rax, rbx
  shl rax, 17
  xor rbx, rax
  mov [rdi], rbx
  add rdi, 8
  dec ecx
  jnz fill
  ret

again64:
  mov esp, stack_top
  call piece
  jmp rax

; Out: RAX the next piece. Ends after the last.
piece:
  mov eax, [next]
  cmp eax, AREA + AREA_BYTES
  jae done
  add dword [next], STEP
  inc dword [STARTS]
  ret
done:
  print "garbage: done", 10
  jmp power_off

; Down to CPL 3, where an even seed has the pieces' pages alone: two of three pieces in 64-bit mode.
user64:
  or byte [page_pml4], 4
  mov ecx, 4
.pdpt:
  or byte [page_pdpt + rcx * 8 - 8], 4
  loop .pdpt
  or byte [page_directories + AREA / 0x200000 * 8], 4
  cmp dword [pages32], 1
  je .mapped
  mov ecx, 2048
.directory:
  or byte [page_directories + rcx * 8 - 8], 4
  loop .directory
.mapped:
  mov rax, cr3
  mov cr3, rax
  mov qword [again], .again
  mov eax, PIT_HZ / 1000                  ; a piece that spins has a millisecond
  call timer_init
  mov eax, PIC_BASE
  mov edx, fault64
  call hook
.again:
  mov esp, stack_top
  call piece
  push qword SEL_USER_DATA | USER
  push rax
  push qword 0x202
  mov edx, SEL_USER64 | USER
  mov ecx, [STARTS]
  and ecx, 3
  jnz .segment
  mov edx, SEL_USER32 | USER
.segment:
  push rdx
  push rax
  iretq

; A hook: back to CPL 0, for the next piece. In: RDI frame
fault64:
  cmp dword [rdi + frame.vector], PIC_BASE
  jne .exception
  out_byte PIC1_COMMAND, PIC_EOI
.exception:
  mov rax, [again]
  mov [rdi + frame.rip], rax
  mov qword [rdi + frame.cs], SEL_CODE64
  mov qword [rdi + frame.rflags], 2
  mov qword [rdi + frame.ss], SEL_DATA
  ret

bits 32
leave_long:
  mov ax, SEL_DATA
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov eax, cr0
  and eax, ~CR0_PG
  mov cr0, eax
  mov ecx, IA32_EFER
  xor eax, eax
  xor edx, edx
  wrmsr
  mov cr4, eax
  lidt [idt32_pointer]
  cmp dword [mode], 4
  je .real
  cmp dword [mode], 6
  je .pae
  cmp dword [mode], 7
  je .task
  cmp dword [mode], 2
  jne again32
  mov eax, directory32
  mov cr3, eax
  mov eax, 0x10                           ; PSE
  mov cr4, eax
  mov eax, cr0
  or eax, CR0_PG
  mov cr0, eax
  jmp again32
.real:
  jmp SEL_CODE16:LOW_CODE
.pae:
  ; the directories of 64-bit mode, by four pointers that have no bits for rights
  xor ecx, ecx
  mov eax, page_directories + 1
.pointer:
  mov [page_pdpt + ecx * 8], eax
  add eax, 0x1000
  inc ecx
  cmp ecx, 4
  jne .pointer
  mov eax, page_pdpt
  mov cr3, eax
  mov eax, CR4_PAE
  mov cr4, eax
  mov eax, cr0
  or eax, CR0_PG
  mov cr0, eax
  jmp again32
.task:
  mov dword [task + TASK_SS0], SEL_DATA
  mov byte [task + TASK_BYTES + IO_MAP_BYTES], 0xFF
  mov word [gdt_task], TASK_BYTES + IO_MAP_BYTES
  mov byte [gdt_task + 5], 0x89           ; not busy
  mov ax, SEL_TASK
  ltr ax
  jmp again32

; From every exception of modes 1 to 3, 6 and 7, on whatever stack.
again32:
  cld
  mov ax, SEL_DATA
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, stack_top
  inc dword [STARTS]
  cmp dword [mode], 3
  je .low
  cmp dword [mode], 7
  je .virtual
  mov eax, [next]
  cmp eax, AREA + AREA_BYTES
  jae .done
  add dword [next], STEP
  jmp eax
.low:
  mov eax, [low_next]
  cmp eax, LOW_END
  jae .done
  add dword [low_next], LOW_STEP
  mov [low_pointer], eax
  mov ax, SEL_DATA16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, LOW_CODE
  jmp far [cs:low_pointer]
.virtual:
  mov eax, [low_next]
  cmp eax, LOW_END
  jae .done
  add dword [low_next], LOW_STEP
  mov edx, EFLAGS_VM + 2
  test eax, LOW_STEP
  jz .flags
  or edx, EFLAGS_IOPL
.flags:
  %rep 4
    push dword LOW >> 4                   ; GS, FS, DS, ES
  %endrep
  push dword LOW >> 4                     ; SS
  push dword LOW_CODE
  push edx
  push dword LOW >> 4                     ; CS
  push eax
  iretd
.done:
  mov dx, PM1A_CONTROL
  mov ax, SLP_EN
  out dx, ax
  hlt

; Copied to LOW + LOW_CODE.
bits 16
low_code:
  mov ax, SEL_DATA16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov eax, cr0
  and al, ~CR0_PE
  mov cr0, eax
  jmp (LOW >> 4):(LOW_CODE + real - low_code)
real:
  o32 lidt [cs:LOW_CODE + ivt_pointer - low_code]
real_again:
  cld
  mov ax, cs
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, LOW_CODE
  inc dword [cs:STARTS - LOW]
  mov bx, [cs:LOW_CODE + real_next - low_code]
  cmp bx, LOW_END
  jae .done
  add word [cs:LOW_CODE + real_next - low_code], LOW_STEP
  jmp bx
.done:
  mov dx, PM1A_CONTROL
  mov ax, SLP_EN
  out dx, ax
  hlt
real_next: dw 0
ivt_pointer:
  dw 0x3FF
  dd 0
low_code_end:
bits 64

name_seed: db "seed=", 0
name_mode: db "mode=", 0
align 8
again: dq again64
next: dd AREA
low_next: dd 0
pages32: dd 1024
mode: dd 0
leave_pointer:
  dd leave_long
  dw SEL_CODE32
low_pointer:
  dd 0
  dw SEL_CODE16
idt32_pointer:
  dw 256 * 8 - 1
  dd idt32
gdt16_pointer:
  dw gdt16_end - gdt16 - 1
  dq gdt16
; as gdt, but that the 16-bit segments begin at LOW; then CPL 3's, and its task
align 8
gdt16:
  dq 0
  dq 0x00AF9B000000FFFF
  dq 0x00CF93000000FFFF
  dq 0x00CF9B000000FFFF
  dq 0x00009B020000FFFF
  dq 0x000093020000FFFF
  dq 0x00CFFB000000FFFF
  dq 0x00AFFB000000FFFF
  dq 0x00CFF3000000FFFF
gdt_task:
  dq 0x0000890000000000 + TASK_BYTES - 1, 0
gdt16_end:

section .bss
alignb 16
task: resb TASK_BYTES + IO_MAP_BYTES + 1
idt32: resb 256 * 8
alignb 4096
directory32: resb 4096
section .text

%include "end.inc"
