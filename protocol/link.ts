// The frame on the serial line: what both ends of the link must agree on. Enums only: AssemblyScript, TypeScript and
// (through the generated protocol.inc) NASM all read this one file.
//
// A frame before COBS, little endian; on the wire it is COBS-encoded and closed by one 00h byte:
//
//    0        1        2        3        4              4+n      8+n
//   +--------+--------+--------+--------+---- ... ------+--------+
//   |  type  |  seq   |  ack   | channel|   payload n   | CRC-32C|
//   +--------+--------+--------+--------+---- ... ------+--------+
//
//   type     FrameType. Only Data carries a sequence number of its own and is acknowledged.
//   seq      Data: its number, modulo 256. Ack: a bit for each of the 7 frames after `ack` that has arrived before it (bit 0: ack + 1).
//            Others: 0.
//   ack      the number of the next Data frame that the sender of this frame expects: all before it have arrived.
//   channel  Data: its Channel, or Probe to 15: a probe. Ack, from the hypervisor: that of the last Data that it had no use for, so of a probe
//            that has come; from the control plane: Missing, or 0. And of Data and Ack the credit in the upper four bits: Data frames from `ack` on that the sender of this
//            frame will take, 0 to Window. Others: 0.
//   CRC-32C  over all that stands before it (RFC 3720 B.4: reflected, initial and final FFFFFFFFh).
//
// Sync starts a session: its payload is two u32, LINK_VERSION and the sender's epoch (a number that differs at each start);
// the peer answers SyncAck with its own version and the epoch that it got, drops all it had in flight, and both count from 0 with a credit of
// Window. A Sync that repeats the session's epoch is answered again and changes nothing; a SyncAck counts only while no session is open.
// Sync and SyncAck have the same form in every version of the link, so that peers of two versions can say so.
//
// A control plane whose line broke and came back sends Resume, of Sync's form, before all else: it begins nothing. Where a session is open the
// answer is a SyncAck with its epoch, that of the Sync which began it: the same one, and both go on where they were; another one, and somebody
// else has had the line meanwhile.
//
// Selective repeat: what came out of order is kept, and told by Ack's bits; the line keeps its order, so that a frame which went out before
// another one that has arrived is lost, and is sent again at once. Only when nothing comes does the clock decide (RetransmitMs): then the
// first frame that has not arrived goes again, without credit too, as a question that any Ack answers. Credit once given is not taken back.
//
// A frame that is sent again, and after which nothing else can be sent, would be missed by the clock alone if it were lost again. A sender that
// minds that (the control plane; the hypervisor's clock is quick enough) sends a probe after it: Data without a payload, with the number
// before the first in flight, which the receiver has had, and with one of the numbers Probe to 15 in place of a channel. An Ack brings the number back: all that was sent before that probe has arrived, or is lost.
// The other way it is the receiver's clock, which knows the line: when it holds frames, and the one before them does not come in the time that the
// line takes there and back, it sends an Ack with Missing, and the first frame that has not arrived is sent again.
//
// Text outside frames (early boot, a panic) is lines that start with "hvkit: ", between 00h bytes.

export enum FrameType {
  Data = 1,
  Ack = 2,
  Sync = 3,
  SyncAck = 4,
  /** control plane -> hypervisor */
  Resume = 5,
}

export enum Channel {
  /** control plane -> hypervisor: [id u32][op u32][words u64...][bytes] */
  Request = 0,
  /** hypervisor -> control plane: [id u32][status u32][words u64...][bytes] */
  Reply = 1,
  /** hypervisor -> control plane: [event u32][guest u32][words u64...][bytes] */
  Event = 2,
  /** both ways: [guest u32][port u32][bytes]; port 0 is COM1 (with E9h), 1 is COM2 */
  Console = 3,
  /** control plane -> hypervisor: [guest u32][0 u32][BulkWords][bytes], into guest RAM, without a reply: a GuestDigest afterwards says what
   *  arrived. It waits for no request, and is behind all else in the sender's queue */
  Bulk = 4,
}

export enum Link {
  Version = 2,
  /** bytes before the payload */
  HeaderBytes = 4,
  CrcBytes = 4,
  /** payload limit: a header and all of protocol/state.ts's Registers. A CRC-32C keeps Hamming distance 6 up to 655 bytes. */
  MaxPayload = 648,
  /** Data frames in flight, unacknowledged, at most */
  Window = 8,
  /** in an Ack: the first frame that has not arrived is not on its way any more */
  Missing = 1,
  /** channels from this one on are probes */
  Probe = 8,
  /** the shift of the credit in a frame's byte `channel` */
  CreditShift = 4,
  /** milliseconds without news from the peer before the first frame in flight is sent again */
  RetransmitMs = 250,
  /** the header of every message: two u32 */
  MessageHeaderBytes = 8,
}
