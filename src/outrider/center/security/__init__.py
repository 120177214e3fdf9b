"""What the center's security rests on: the master key, sealing, passwords, certificates, enrolment proofs."""
