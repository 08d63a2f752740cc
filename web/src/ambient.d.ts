declare module "words:*" { const texts: Record<string, string | Record<string, string>>; export default texts; }
