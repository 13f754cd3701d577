"""What a hand can move while the music plays, and the ways in: MIDI, OSC, the terminal, the control page.

`parameters` names everything that can be moved, `controls` owns the present values. Every way in calls
`Controls.set` and hears of the others' moves by `Controls.subscribe`; none knows another, or the engine.
"""
