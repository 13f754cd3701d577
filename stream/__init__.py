"""The product: block-streaming vocal isolation between an audio input and an audio output, without torch."""
