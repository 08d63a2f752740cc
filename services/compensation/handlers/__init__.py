"""What compensation does with each input.

situation    who asks, under which policy, with what room
giving       checks                     offers       what customers may choose between
life         void, explain, suspend, what rings
tills        redemptions                incidents    many at once
staff        employees, shifts, days
"""
