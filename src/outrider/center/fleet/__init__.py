"""The fleet: enrolment, approval, what is known of each host, and who is there."""
