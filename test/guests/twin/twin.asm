; twin: halted until COM1 has a byte, which says what to do. For copies of it, and for what writes to shared memory cost.
;
;   g   `twin: generation N entropy A B C D`: hypercalls 2 and 3
;   t   `twin: first N next M`: TSC ticks of a write to the next 2 MiB that it has not touched, and of one to the next page there
;   w   writes to each page from 2 MiB on, a number that is another one each time: `twin: wrote N`
;   s   `twin: sum N`: of what lies in them
;   i   reads 512 bytes from port 80h into the page at 1.5 MiB, whose first byte it then tells: `twin: in N`
;   p   port 80h gets the next byte
;
; size=N   MiB of its memory (default: 16)

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "power.inc"

%define POST 0x80                         ; port 80h keeps what is written and gives it back
%define STRING_AREA 0x180000
%define AREA 0x200000
%define REGION 0x200000
%define PAGE 0x1000
%define GENERATION 2
%define ENTROPY 3

main:
  mov esi, size_option
  mov eax, 16
  call option_number
  shl rax, 20
  mov [end], rax
  call idt_init
  xor eax, eax
  call timer_init
  out_byte PIC1_DATA, 0xEF                ; IRQ 4 alone
  mov eax, PIC_BASE + 4
  mov edx, serial_interrupt
  call hook
  mov dx, COM1 + UART_MCR
  mov al, 0x0B                            ; OUT2: interrupts reach the 8259
  out dx, al
  mov dx, COM1 + UART_IER
  mov al, 1
  out dx, al
  print "twin: ready", 10
.sleep:
  sti
  hlt
  jmp .sleep

serial_interrupt:
  mov dx, COM1 + UART_LSR
  in al, dx
  test al, LSR_DATA_READY
  jz .done
  mov dx, COM1 + UART_DATA
  in al, dx
  cmp byte [post_next], 0
  jne .post
  cmp al, "g"
  je .generation
  cmp al, "t"
  je .times
  cmp al, "w"
  je .write
  cmp al, "s"
  je .sum
  cmp al, "i"
  je .string
  cmp al, "p"
  jne serial_interrupt
  mov byte [post_next], 1
  jmp serial_interrupt
.done:
  out_byte PIC1_COMMAND, PIC_EOI
  ret
.post:
  out POST, al
  mov byte [post_next], 0
  jmp serial_interrupt

.generation:
  mov eax, GENERATION
  vmmcall
  print "twin: generation "
  print_decimal rax
  mov eax, ENTROPY
  vmmcall
  mov rsi, rax
  print " entropy "
  print_hex rsi
  print " "
  print_hex rbx
  print " "
  print_hex rcx
  print " "
  print_hex rdx
  print 10
  jmp serial_interrupt

; The time of a write to [RDI]. Out: RAX  Clobbers: RCX RDX
%macro time_write 0
  rdtsc
  shl rdx, 32
  lea rcx, [rax + rdx]
  mov qword [rdi], 1
  rdtsc
  shl rdx, 32
  or rax, rdx
  sub rax, rcx
%endmacro

.times:
  mov rdi, [untouched]
  add qword [untouched], REGION
  time_write                              ; and once more what the second write has beside the fault
  mov r8, rax
  add rdi, PAGE
  time_write
  mov r9, rax
  time_write
  sub r8, rax
  sub r9, rax
  print "twin: first "
  print_decimal r8
  print " next "
  print_decimal r9
  print 10
  jmp serial_interrupt

.write:
  inc qword [writes]
  mov rdi, AREA
  xor ecx, ecx
.page:
  cmp rdi, [end]
  jae .written
  mov rax, [writes]
  imul rax, rdi
  mov [rdi], rax
  add rdi, PAGE
  inc ecx
  jmp .page
.written:
  print "twin: wrote "
  print_decimal rcx
  print 10
  jmp serial_interrupt

.sum:
  mov rdi, AREA
  xor eax, eax
.word:
  cmp rdi, [end]
  jae .summed
  add rax, [rdi]
  add rdi, PAGE
  jmp .word
.summed:
  print "twin: sum "
  print_decimal rax
  print 10
  jmp serial_interrupt

.string:
  mov edi, STRING_AREA
  mov ecx, 512
  mov edx, POST
  cld
  rep insb
  movzx eax, byte [STRING_AREA]
  print "twin: in "
  print_decimal rax
  print 10
  jmp serial_interrupt

size_option: db "size=", 0
align 8
end: dq 0
writes: dq 0
untouched: dq AREA
post_next: db 0

%include "end.inc"
