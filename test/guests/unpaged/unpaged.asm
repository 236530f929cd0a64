; unpaged: a state that a CPU allows and few kernels are ever in: EFER.LME set, with neither paging nor PAE. It makes exits in it, tries to turn
; paging on, which is #GP without PAE, and comes back to long mode in the right order.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "power.inc"

EXITS equ 200

main:
  print "unpaged: now", 10
  push SEL_CODE32
  lea rax, [low]
  push rax
  retfq

bits 32
low:
  mov eax, SEL_DATA
  mov ds, eax
  mov es, eax
  mov ss, eax
  lidt [idt_pointer]
  mov eax, cr0
  and eax, ~CR0_PG
  mov cr0, eax
  mov eax, cr4
  and eax, ~CR4_PAE
  mov cr4, eax
  mov esi, EXITS
.exit:
  xor eax, eax
  cpuid
  dec esi
  jnz .exit
  mov ecx, IA32_EFER
  rdmsr
  mov edi, eax                            ; LME is still the guest's
  mov eax, cr0
  or eax, CR0_PG
  mov cr0, eax                            ; three bytes: `refused` steps over them
  mov eax, cr4
  or eax, CR4_PAE
  mov cr4, eax
  mov eax, cr0
  or eax, CR0_PG
  mov cr0, eax
  jmp SEL_CODE64:back

; In: an error code, EIP, CS, EFLAGS on the stack
refused:
  inc dword [faults]
  add esp, 4
  add dword [esp], 3
  iretd

bits 64
back:
  mov ecx, IA32_EFER
  rdmsr
  test edi, EFER_LME
  jz .lost
  test eax, EFER_LME
  jz .lost
  cmp dword [faults], 1
  jne .fault
  print "unpaged: back", 10
  jmp power_off
.lost:
  print "unpaged: FAIL: LME is gone", 10
  jmp power_off
.fault:
  print "unpaged: FAIL: paging without PAE was not refused", 10
  jmp power_off

align 8
idt:
  times 13 dq 0
  dw refused_low, SEL_CODE32, 0x8E00, 0x10
idt_end:
idt_pointer:
  dw idt_end - idt - 1
  dd idt
align 4
faults: dd 0
refused_low equ (LOAD_ADDRESS & 0xFFFF) + refused - image_start

%include "end.inc"
