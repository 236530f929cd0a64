; hang: hangs, in the way that `mode=N` says: what `hvkit why` has to find out (test/contract/look.test.ts names the modes).

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "power.inc"

%define COM1_IER 0x3F9
%define IER_RECEIVED 0x01
%define IER_EMPTY 0x02
%define COM1_MCR 0x3FC
%define MCR_DTR 0x01
%define MCR_RTS 0x02
%define MCR_OUT2 0x08
%define ELCR1 0x4D0
%define CMOS_INDEX 0x70
%define CMOS_DATA 0x71
%define KEYBOARD_STATUS 0x64
%define UNMAPPED 0x0000700000000000         ; canonical, and in no table of multiboot.inc

main:
  mov rsi, name_mode
  xor eax, eax
  call option_number
  mov r12, rax
  call idt_init
  print "hang: mode "
  print_decimal r12
  print 10
  cmp r12, (modes.end - modes) / 8
  jae .unknown
  jmp [modes + r12 * 8]
.unknown:
  print "FAIL hang: no such mode", 10
  ret

; Timer ticks that are masked.
masked:
  mov eax, PIT_HZ / 100
  call timer_init
  out_byte PIC1_DATA, 0xFF
  jmp sleep

; A handler without an EOI: the first tick is the last.
no_eoi:
  mov eax, PIT_HZ / 100
  call timer_init
  mov eax, PIC_BASE
  mov edx, nothing
  call hook
  jmp sleep

; A timer, and a PIC that nobody initialized.
no_pic:
  out_byte PIT_MODE, 0x34
  out_byte PIT_CHANNEL0, 0
  out_byte PIT_CHANNEL0, 0x10
  jmp sleep

; Input on COM1, whose interrupt OUT2 keeps from the PIC.
no_out2:
  mov ecx, MCR_DTR | MCR_RTS
  mov ebx, IER_RECEIVED
  jmp input
; Input that the guest holds back by RTS.
no_rts:
  mov ecx, MCR_DTR | MCR_OUT2
  mov ebx, IER_RECEIVED
  jmp input
; Input that is not to interrupt.
no_ier:
  mov ecx, MCR_DTR | MCR_RTS | MCR_OUT2
  xor ebx, ebx
  jmp input
; A transmitter that is empty, a level, and a handler that leaves it so.
storm:
  mov edx, ELCR1
  mov al, 1 << 4
  out dx, al
  mov ecx, MCR_DTR | MCR_RTS | MCR_OUT2
  mov ebx, IER_EMPTY
  jmp input
; Input that comes.
waits:
  mov ecx, MCR_DTR | MCR_RTS | MCR_OUT2
  mov ebx, IER_RECEIVED
; In: ECX MCR, EBX IER
input:
  mov eax, PIT_HZ / 100
  call timer_init
  out_byte PIT_MODE, 0x30                   ; no more ticks
  out_byte PIC1_DATA, 0xEF                  ; IRQ 4 alone
  mov eax, PIC_BASE
  mov edx, ignore
  call hook                                 ; a tick that had come before
  mov eax, PIC_BASE + 4
  mov edx, ignore
  call hook
  mov edx, COM1_MCR
  mov eax, ecx
  out dx, al
  mov edx, COM1_IER
  mov eax, ebx
  out dx, al
  jmp sleep

; The RTC's update interrupt, by a cascade that is masked.
cascade:
  mov eax, PIT_HZ / 100
  call timer_init
  out_byte PIT_MODE, 0x30                   ; no ticks
  out_byte PIC1_DATA, 0xFF
  out_byte PIC2_DATA, 0xFE
  out_byte CMOS_INDEX, 0x0B
  out_byte CMOS_DATA, 0x12                  ; UIE, 24 hours
  jmp sleep

; HLT, with interrupts on and nothing that could interrupt.
sleep:
  sti
  hlt
  jmp sleep

; What never becomes ready.
polls:
  in al, KEYBOARD_STATUS
  test al, 1
  jz polls
  jmp polls

; One instruction for ever, with interrupts on.
spins:
  sti
.here:
  jmp .here

; A healthy guest: ticks wake it.
ticks_on:
  mov eax, PIT_HZ / 100
  call timer_init
  jmp sleep

; A page fault, and no gate in the whole table is present.
no_gates:
  lidt [zeros_pointer]
  mov rax, UNMAPPED
  mov rax, [rax]
  ud2

; Memory that the machine does not have: 4 GiB are mapped, 4 MiB are there.
unbacked:
  mov eax, 0xC0000000
  mov byte [rax], 0
  ud2

; CR0.NW without CD, which no CPU runs with: a CPU whose CR0 is the guest's takes it, and its next entry is refused; others raise #GP.
refused:
  mov rax, cr0
  or eax, 1 << 29
  and eax, ~(1 << 30)
  mov cr0, rax
  cpuid
  ud2

; A push onto a stack that is not mapped: no handler has one either.
no_stack:
  mov rax, UNMAPPED
  mov rsp, rax
  push rax
  ud2

; In an interrupt: end of interrupt, and no more.
ignore:
  out_byte PIC1_COMMAND, PIC_EOI
nothing:
  ret

align 8
modes:
  dq sleep, masked, no_eoi, no_pic, no_out2, waits, polls, spins, ticks_on, no_gates, no_stack
  dq storm, no_ier, no_rts, cascade, unbacked, refused
.end:
zeros_pointer:
  dw 32 * 16 - 1
  dq zeros
name_mode: db "mode=", 0

section .bss
align 16
zeros: resb 32 * 16
section .text

%include "end.inc"
