"""The control page: faders, meters and spectrograms in any browser, on a phone held in one hand.

Two processes, so that nothing a browser does can disturb the audio:

    session's process                          the page's process
      feed    what there is to show  ──pipe──▶   server, hub    HTTP and WebSockets (aiohttp)
      wishes  what hands ask for     ◀──pipe──   spectrogram    the transforms of the pictures

`link` is the form of what goes through the pipes, `companion` starts and ends it all, `guard` and `messages`
refuse what must not come in, `address` says where to look, and `static` is what the browser gets.
"""
