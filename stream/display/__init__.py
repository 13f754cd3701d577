"""What a session shows in the terminal, and the keys that it is played by there."""
