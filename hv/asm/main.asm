; Where hv/boot hands over (the CPU has what is needed, COM1 speaks, memory is mapped): the order in which everything starts. Interrupts are off until the scheduler loop.
%include "hv.inc"

global hv_main, ready_tsc, power_off
extern boot_vendor, boot_cpu, boot_cpu_count, cpu_init, stack_map, guests_init, core_map, core_init, frames_init
extern vendor_choose, vendor_enable, timer_init, cpus_start, cpus_go, store_init, serial_init, sched_init, sched_loop, panic
extern Z_core_init_module, Z_machine_init_module

section .bss
alignb 8
ready_tsc:      resq 1

section .text

hv_main:
    mov edi, [boot_cpu]
    call cpu_init
    xor ebp, ebp
.stack:
    mov edi, ebp
    call stack_map
    inc ebp
    cmp ebp, [boot_cpu_count]
    jb .stack
    mov eax, [boot_cpu]
    STACK_OF rax
    call guests_init
    call core_map
    call frames_init                            ; from here on every frame has an owner
    mov eax, [boot_vendor]
    call vendor_choose
    call [vendor_enable]
    mov rdi, not_enabled
    mov esi, 0
    jc panic
    call timer_init
    call cpus_start
    call store_init
    call serial_init
    call sched_init
    call Z_machine_init_module
    call Z_core_init_module
    RDTSC64
    mov [ready_tsc], rax
    sti
    call core_init
    call cpus_go
    jmp sched_loop

; Every way that the engines know, then for good.
power_off:
    cli
    mov edx, 0xF4                               ; QEMU's isa-debug-exit: status 1
    xor eax, eax
    out dx, eax
    mov edx, 0x8900                             ; Bochs
    mov rsi, bochs_word
    mov ecx, 8
    rep outsb
    mov edx, 0x604                              ; QEMU's PM1a control
    mov eax, 0x2000
    out dx, ax
.stop:
    hlt
    jmp .stop

section .rodata
not_enabled: db "hardware virtualization cannot be turned on", 0
bochs_word: db "Shutdown"
