export const usage = "usage: multilog"; export const main = () => 1;
