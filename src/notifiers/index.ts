export const openNotifier = () => { throw new Error('none'); };
