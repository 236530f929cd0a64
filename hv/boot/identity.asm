; The build's identity: a digest of the sources that the image is made from (scripts/lib/native.mjs), told to the control plane at Hello.

%include "identity.inc"

global build_identity, build_identity_bytes

section .rodata
build_identity: db HVKIT_IDENTITY
.end:           db 0
align 4
build_identity_bytes: dd build_identity.end - build_identity
