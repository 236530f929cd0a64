; clock: what each of a guest's clocks says, a line whenever the RTC shows another second:
;
;   clock: rtc R pit P tsc T kvm K      R seconds and P ticks of 100 Hz since the start, the TSC, nanoseconds by KVM's clock

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "power.inc"

%define CMOS_INDEX 0x70
%define CMOS_DATA 0x71
%define RTC_SECONDS 0
%define RTC_A 0x0A
%define RTC_A_UIP 0x80
%define MSR_KVM_SYSTEM_TIME 0x4B564D01

; struct pvclock_vcpu_time_info (Linux, Documentation/virt/kvm/x86/msr.rst)
struc pvclock
  .version: resd 1
  .pad: resd 1
  .tsc: resq 1
  .system_time: resq 1
  .mul: resd 1
  .shift: resb 1
  .flags: resb 1
  .pad2: resb 2
endstruc

main:
  call idt_init
  mov ecx, MSR_KVM_SYSTEM_TIME
  mov eax, kvm_time + 1                   ; bit 0: enabled
  xor edx, edx
  wrmsr
  mov eax, PIT_HZ / 100
  call timer_init
  print "clock: starts", 10
  xor ebx, ebx                            ; seconds since the first that was seen
  mov ebp, -1                             ; what the RTC showed: 0 to 59
.wait:
  sti
  hlt
  cli
  mov al, RTC_A
  out CMOS_INDEX, al
  in al, CMOS_DATA
  test al, RTC_A_UIP
  jnz .wait
  mov al, RTC_SECONDS
  out CMOS_INDEX, al
  in al, CMOS_DATA
  movzx eax, al
  mov ecx, eax
  shr ecx, 4                              ; BCD: tens
  and eax, 15
  imul ecx, 10
  add eax, ecx
  cmp eax, ebp
  je .wait
  mov ecx, eax
  xchg ebp, eax
  test eax, eax
  js .print
  sub ecx, eax
  jns .same_minute
  add ecx, 60
.same_minute:
  add ebx, ecx
.print:
  print "clock: rtc "
  print_decimal rbx
  print " pit "
  print_decimal [ticks]
  rdtsc
  shl rdx, 32
  or rax, rdx
  mov r8, rax
  print " tsc "
  print_decimal r8
  print " kvm "
  call kvm_nanoseconds
  print_decimal rax
  print 10
  jmp .wait

; In: R8 TSC  Out: RAX nanoseconds  Clobbers: RCX RDX
kvm_nanoseconds:
  mov rax, r8
  sub rax, [kvm_time + pvclock.tsc]
  mov cl, [kvm_time + pvclock.shift]
  test cl, cl
  js .right
  shl rax, cl
  jmp .shifted
.right:
  neg cl
  shr rax, cl
.shifted:
  mov edx, [kvm_time + pvclock.mul]
  mul rdx
  shrd rax, rdx, 32
  add rax, [kvm_time + pvclock.system_time]
  ret

align 8
kvm_time: times pvclock_size db 0

%include "end.inc"
