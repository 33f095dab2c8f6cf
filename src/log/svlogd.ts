export const usage = "usage: svlogd";
export const main = () => 1;
