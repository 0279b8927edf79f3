# Makefile: the usual words, for those who type them; the work is done by Meson and script/.
all:
	script/build
check:
	script/test
install: all
	meson install -C build/release
clean:
	rm -rf build/release build/test build/fuzz
.PHONY: all check install clean
