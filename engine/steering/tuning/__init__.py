"""Fine-tuning on a behaviour's A/B letters: the baseline that steering is compared and combined with (CAA §7)."""
