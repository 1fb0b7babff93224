SUBTLE: tuple = ()
