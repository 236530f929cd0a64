; poweroff: a kernel without ACPI knows no way to power off, and halts. This writes ACPI's PM1a control port itself (604h, as on
; QEMU's pc machine), and only if that fails asks the kernel.

%include "elf64.inc"

%define PM1A_CONTROL 0x604
%define SLP_EN 0x2000
%define LINUX_REBOOT_MAGIC1 0xFEE1DEAD
%define LINUX_REBOOT_MAGIC2 672274793
%define LINUX_REBOOT_CMD_POWER_OFF 0x4321FEDC

start:
  mov eax, SYS_SYNC
  syscall
  mov edi, PM1A_CONTROL
  mov esi, 2
  mov edx, 1
  mov eax, SYS_IOPERM
  syscall
  test rax, rax
  jnz .kernel
  mov dx, PM1A_CONTROL
  mov ax, SLP_EN
  out dx, ax
.kernel:
  mov edi, LINUX_REBOOT_MAGIC1
  mov esi, LINUX_REBOOT_MAGIC2
  mov edx, LINUX_REBOOT_CMD_POWER_OFF
  mov eax, SYS_REBOOT
  syscall
  mov edi, 1
  mov eax, SYS_EXIT
  syscall
image_end:
