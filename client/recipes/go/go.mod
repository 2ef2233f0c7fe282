module scxslo

go 1.19
